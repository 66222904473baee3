"""Rows the drain cannot store: put off, then set aside with the error for an operator to see, then put back.

    put_into_inbox(entry, error, now=moment)    # of another log: from now on as every other row
    put_off(entry, error, now=moment)    → True when that was the last attempt, and the row is in quarantine now
    redrive([3, 4], now=moment)          → 2, back in the inbox with all their attempts

The events stay acknowledged, durable and counted all along; a fixed server stores them as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from events import wakeup
from events.models import InboxEntry, QuarantinedEntry

DELAYS = (timedelta(seconds=1), timedelta(seconds=10), timedelta(minutes=1))
"""Before each further attempt. A fault that passes by itself has passed in a minute; any other needs a person."""

_COPIED = ("customer_id", "received_at", "kind", "encoding", "events", "skipped", "body")
_ERROR_CHARACTERS = 2000
_log = structlog.get_logger(__name__)


def put_off(entry: InboxEntry, error: Exception, *, now: datetime) -> bool:
    """Note a failed attempt: try again later, or, after the last one, move the row to quarantine."""
    reason = _reason(error)
    if entry.attempts < len(DELAYS):
        InboxEntry.objects.filter(pk=entry.pk).update(
            attempts=entry.attempts + 1, retry_at=now + DELAYS[entry.attempts], error=reason
        )
        return False
    with transaction.atomic():
        deleted, _ = InboxEntry.objects.filter(pk=entry.pk).delete()
        if deleted:
            QuarantinedEntry.objects.create(
                **_copied(entry), attempts=entry.attempts + 1, retry_at=now, error=reason, quarantined_at=now
            )
    _log.error("quarantined", customer=entry.customer_id, events=entry.events, error=reason)
    return bool(deleted)


def put_into_inbox(entry: InboxEntry, error: Exception, *, now: datetime) -> None:
    """Save `entry`, which is not saved yet, with its first failed attempt."""
    InboxEntry.objects.create(**_copied(entry), attempts=1, retry_at=now + DELAYS[0], error=_reason(error))


def redrive(ids: Iterable[int], *, now: datetime) -> int:
    """Put quarantined rows back into the inbox. Returns how many there were."""
    with transaction.atomic():
        rows = list(QuarantinedEntry.objects.select_for_update().filter(pk__in=list(ids)).order_by("id"))
        InboxEntry.objects.bulk_create([InboxEntry(**_copied(row), retry_at=now) for row in rows])
        QuarantinedEntry.objects.filter(pk__in=[row.pk for row in rows]).delete()
    wakeup.drain_soon()
    return len(rows)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_ERROR_CHARACTERS].replace("\0", "�")


def _copied(entry: InboxEntry | QuarantinedEntry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in _COPIED}
