"""The secrets that sign webhooks, as the database has them: sealed, each for its own destination.

    destination.secret = sealed("whsec_…", destination)
    signing_secrets(destination, at=moment)      → ["whsec_…"], the one before it too while both sign
    reseal()                                     → Resealed(sealed=3, unreadable=0): those under an older key, or none

Migrations run where no secret is (`kmcloud.roles`), so what a version before this one wrote is not sealed by one: the
worker that sends does it, daily, and `manage.py reseal_secrets` at once. Until then it signs as it did.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import NamedTuple

import structlog
from django.db import transaction

from alerts.models import Destination
from core import sealing

PREFIX = "whsec_"  # of Standard Webhooks 1.0; what follows is base64
_COLUMNS = ("secret", "previous_secret")

_log = structlog.get_logger(__name__)


class Resealed(NamedTuple):
    """How many secrets were sealed anew, and of how many destinations none could be read."""

    sealed: int
    unreadable: int


def sealed(secret: str, public_id: str) -> str:
    """`whsec_…` as it is stored for the destination of that id. Raises `sealing.Unreadable` without a key."""
    return sealing.seal(base64.b64decode(secret.removeprefix(PREFIX)), context=_context(public_id))


def signing_secrets(destination: Destination, *, at: datetime) -> list[str]:
    """What signs at `at`, the newest first. Raises `sealing.Unreadable` under another key than their own."""
    overlaps = destination.previous_until is not None and at < destination.previous_until
    stored = [destination.secret, *([destination.previous_secret] if overlaps else [])]
    return [_opened(each, destination.public_id) for each in stored]


def reseal() -> Resealed:
    """Seal under the newest key what is not, a destination at a time. What no key opens stays, and is logged."""
    done, unreadable = 0, 0
    webhooks = Destination.objects.filter(channel=Destination.Channel.WEBHOOK).order_by("id")
    for key in list(webhooks.values_list("pk", flat=True)):
        try:
            with transaction.atomic():
                done += _reseal(webhooks.select_for_update().filter(pk=key).first())
        except sealing.Unreadable as error:
            unreadable += 1
            _log.error(
                "webhook_secret_unreadable", destination=key, cause=str(error), hint="give KM_SEALING_KEY the key"
            )
    return Resealed(done, unreadable)


def _reseal(destination: Destination | None) -> int:
    """How many of the destination's; none of one that is gone meanwhile."""
    old = [name for name in _COLUMNS if (text := getattr(destination, name, "")) and not sealing.is_current(text)]
    if destination is None or not old:
        return 0
    for name in old:
        secret = _opened(getattr(destination, name), destination.public_id)
        setattr(destination, name, sealed(secret, destination.public_id))
    destination.save(update_fields=old)
    return len(old)


def _opened(stored: str, public_id: str) -> str:
    if stored.startswith(PREFIX):  # of before secrets were sealed
        return stored
    return PREFIX + base64.b64encode(sealing.unseal(stored, context=_context(public_id))).decode()


def _context(public_id: str) -> str:
    return f"alert_destination:{public_id}"
