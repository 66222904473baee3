"""The event store on a relational database: the one place that writes events, and knows how each database wants it.

    new = insert([NewEvent(customer_id=7, id=UUID("019aa…"), …), …])     → those that were not there before
    known(7, ids)                                                       → those of `ids` that are stored

Inserting is idempotent: the primary key (customer, id) dedupes, `ON CONFLICT DO NOTHING` passes over what is there,
and `RETURNING` tells which rows are new, in the one statement, so that two drains cannot both count an event.
Works on SQLite (3.35 or newer) and PostgreSQL alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from events import parties
from events.models import Event

Key = tuple[int, int]
"""(customer, event id as a number, which compares ten times faster)"""
PartyNames = tuple[str, str, str]
"""(name, version, title) of a server or a client; all blank for one that nobody named"""

ROWS_A_STATEMENT = 100  # 19 parameters each: well below SQLite's 32,766 and PostgreSQL's 65,535
IDS_A_STATEMENT = 500


class NewEvent(NamedTuple):
    """An event to store. `timestamp` is in UTC; the parties are stored as the number of their row."""

    customer_id: int
    id: UUID
    correlation_id: str
    timestamp: datetime
    type: str
    direction: str
    method: str
    tool: str
    session_id: str
    sequence: int
    duration_ms: float | None
    is_error: bool
    size: int
    server: PartyNames
    client: PartyNames
    is_base64: bool
    truncated: bool
    message: str

    @property
    def key(self) -> Key:
        return self.customer_id, self.id.int


_TABLE = Event._meta.db_table
_COLUMNS = ", ".join(f"{name}_id" if name in {"server", "client"} else name for name in NewEvent._fields)
_ID, _TIMESTAMP, _SERVER, _CLIENT = map(NewEvent._fields.index, ("id", "timestamp", "server", "client"))
_PLACES = f"({', '.join(['%s'] * len(NewEvent._fields))})"


def insert(events: Iterable[NewEvent]) -> list[NewEvent]:
    """Store what is not stored yet; those of `events` that were new. No two of them may have the same key."""
    ordered = sorted(events, key=lambda event: event.key)  # two drains take their locks in one order
    parties_of = {(event.customer_id, *party) for event in ordered for party in (event.server, event.client)}
    row = _row_maker(parties.numbers({key for key in parties_of if any(key[1:])}))
    added: list[NewEvent] = []
    with connection.cursor() as cursor:
        for start in range(0, len(ordered), ROWS_A_STATEMENT):
            part = ordered[start : start + ROWS_A_STATEMENT]
            rows = [row(event) for event in part]
            cursor.execute(_insert_statement(len(rows)), [value for values in rows for value in values])
            new = set(cursor.fetchall())
            added += [event for event, values in zip(part, rows, strict=True) if (values[0], values[_ID]) in new]
    return added


def known(customer_id: int, ids: Iterable[UUID]) -> set[UUID]:
    """Those of `ids` this customer has stored: one look-up in the primary key each."""
    spell = _id_speller()
    wanted = {spell(event_id): event_id for event_id in ids}
    spelled = list(wanted)
    found: set[UUID] = set()
    with connection.cursor() as cursor:
        for start in range(0, len(spelled), IDS_A_STATEMENT):
            part = spelled[start : start + IDS_A_STATEMENT]
            cursor.execute(_known_statement(len(part)), [customer_id, *part])
            found.update(wanted[row[0]] for row in cursor.fetchall())
    return found


@cache
def _insert_statement(rows: int) -> str:
    places = ", ".join([_PLACES] * rows)
    return (
        f"INSERT INTO {_TABLE} ({_COLUMNS}) VALUES {places} "  # noqa: S608 - names of ours, values as parameters
        "ON CONFLICT (customer_id, id) DO NOTHING RETURNING customer_id, id"
    )


@cache
def _known_statement(ids: int) -> str:
    places = ", ".join(["%s"] * ids)
    return f"SELECT id FROM {_TABLE} WHERE customer_id = %s AND id IN ({places})"  # noqa: S608 - as above


def _row_maker(numbers: Mapping[parties.Key, int]) -> Callable[[NewEvent], list[Any]]:
    """How a row's values are handed to this database's driver."""
    native, spell = connection.features.has_native_uuid_field, _id_speller()

    def row(event: NewEvent) -> list[Any]:
        values: list[Any] = list(event)
        values[_ID] = spell(event.id)
        values[_SERVER] = numbers.get((event.customer_id, *event.server))
        values[_CLIENT] = numbers.get((event.customer_id, *event.client))
        if not native:
            values[_TIMESTAMP] = sqlite_moment(event.timestamp)
        return values

    return row


def sqlite_moment(moment: datetime) -> str:
    """`moment`, in UTC, as Django's SQLite backend stores it: SQLite has no times."""
    return str(moment.replace(tzinfo=None))


def _id_speller() -> Callable[[UUID], Any]:
    """How an id is written, and read back: SQLite has no UUIDs, so Django writes 32 hex digits."""
    return (lambda event_id: event_id) if connection.features.has_native_uuid_field else (lambda event_id: event_id.hex)
