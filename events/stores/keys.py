"""Which events are stored, for a store that has no unique key: their keys in the relational database.

    new = keys.insert(events)         inside the drain's transaction → those of `events` that were not there before
    keys.known(7, ids)                → those of `ids` that are

The keys come and go with the drain's transaction, so after a crash or a rollback the same events are new again. Writing
an event twice must then be harmless in the store itself.

On PostgreSQL the keys lie in partitions of days, by the event's own time, and a day's keys are dropped when it is
`KEY_DAYS` old. An event that arrives later than that, for the first time, has its key in the default partition, which
is kept as long as events are. What is not told from a new event is one that was stored, and is sent again when it is
older than `KEY_DAYS`: the store has it once, sessions and rollups count it twice. Clients replay within
`retention.REPLAY_DAYS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection

from events.event_ids import DAY, day_of, first_id
from events.models import EventKey
from events.store import NewEvent
from events.stores import partitions, relational, sqlite
from events.stores.copying import CopiedTable
from events.turns import turn

KEY_DAYS = 35  # a laptop shut for a month's leave, and the days in which it sends again what it sent then
_TABLE = EventKey._meta.db_table
_KEYS = CopiedTable(_TABLE, columns=("customer_id", "id"), types=("int8", "uuid"))


def insert(events: Iterable[NewEvent]) -> list[NewEvent]:
    """Take down the keys of `events`; those of them that were new, in the order of their ids."""
    ordered = sorted(events, key=lambda event: (event.id.int, event.customer_id))  # partition by partition
    if not ordered:
        return []
    if connection.vendor == "sqlite":
        spelled = sqlite.insert_new(_TABLE, _KEYS.columns, [(event.customer_id, event.id.hex) for event in ordered])
        return [event for event in ordered if (event.customer_id, event.id.hex) in spelled]
    new = _KEYS.insert([(event.customer_id, event.id) for event in ordered])
    return ordered if new is None else [event for event in ordered if (event.customer_id, event.id) in new]


def known(customer_id: int, ids: Iterable[UUID]) -> set[UUID]:
    """Those of `ids` whose key is there."""
    if connection.vendor == "sqlite":
        return sqlite.known_in(_TABLE, customer_id, ids)
    return relational.known_in(EventKey, customer_id, ids)


def prepare(*, now: datetime) -> None:
    """Partitions for the keys of the days around `now`, and none for those older than `KEY_DAYS`."""
    if connection.vendor == "postgresql":
        partitions.make_ahead(now, _TABLE)
        partitions.drop_before(day_of(now) - KEY_DAYS * DAY, _TABLE)


def drop_before(day: datetime) -> None:
    """Give up the keys of before `day` that lie in no partition of their own."""
    table = f"{_TABLE}_default" if connection.vendor == "postgresql" else _TABLE
    spelled: Sequence[str | UUID] = [first_id(day).hex if connection.vendor == "sqlite" else first_id(day)]
    with turn(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE id < %s", spelled)  # noqa: S608 - names of ours
