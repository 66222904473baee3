"""Settings of this room that cannot work, or that tell nobody anything, said at start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, register


@register
def webhooks_do_not_reach_everything(**_: Any) -> list[CheckMessage]:
    """A network as wide as the internet is no network of one's own."""
    wide = [str(network) for network in settings.WEBHOOK_PRIVATE_NETWORKS if network.prefixlen == 0]
    if not wide:
        return []
    return [
        checks.Error(
            f"KM_WEBHOOK_PRIVATE_NETWORKS holds {', '.join(wide)}: customers' webhooks could reach every machine here.",
            hint="Name the networks of the receivers, such as 10.1.2.0/24.",
            id="alerts.E001",
        )
    ]
