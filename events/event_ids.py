"""Event ids as places in time: every stored id leads with its event's millisecond (`km_protocol.envelope.stored_id`).

    first_id(moment)           the smallest id an event of `moment` or later can have
    ids_between(since, until)  → (lowest, end): every event of since ≤ timestamp ≤ until has lowest ≤ id < end

An id a client made may be a millisecond off its event's timestamp, so `ids_between` reaches that much further: it finds
partitions and ranges of an index, and a question that must be exact asks for the timestamp as well.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from km_protocol.envelope import unix_milliseconds, uuid7

DAY = timedelta(days=1)
ID_MAY_DIFFER = timedelta(milliseconds=2)  # an id's millisecond from its event's moment
_MILLISECOND = timedelta(milliseconds=1)


def first_id(moment: datetime) -> UUID:
    """The smallest id an event of `moment` or later can have. A moment before 1970 counts as 1970."""
    return uuid7(max(0, unix_milliseconds(moment)), bytes(10))


def ids_between(since: datetime, until: datetime) -> tuple[UUID, UUID]:
    """The lowest id events of `since` to `until` can have, and one above all of theirs."""
    return first_id(since - _MILLISECOND), first_id(until + ID_MAY_DIFFER)


def moment_of(event_id: UUID) -> datetime:
    """The millisecond `event_id` leads with."""
    return datetime.fromtimestamp(0, UTC) + (event_id.int >> 80) * _MILLISECOND


def day_of(moment: datetime) -> datetime:
    """The beginning of the UTC day `moment` lies in."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
