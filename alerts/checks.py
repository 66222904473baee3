"""Settings of this room that cannot work, or that tell nobody anything, said at start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register

MIN_KEY_CHARACTERS = 32  # what 24 random bytes are in base64


@register(Tags.security)
def sealing_keys_are_long(**_: Any) -> list[CheckMessage]:
    """They are all that stands between a stolen database and the secrets of webhooks."""
    short = [key for key in settings.SEALING_KEYS if len(key) < MIN_KEY_CHARACTERS]
    if not short:
        return []
    return [
        checks.Error(
            f"KM_SEALING_KEY holds a key of fewer than {MIN_KEY_CHARACTERS} characters.",
            hint="Make one with `python -c 'import secrets; print(secrets.token_urlsafe(48))'`.",
            id="alerts.E002",
        )
    ]


@register(Tags.security)
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
