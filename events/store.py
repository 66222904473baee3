"""The event store on a relational database: the one place that writes events, and knows how each database wants it.

    new = insert([NewEvent(customer_id=7, id=UUID("019aa…"), …), …])     → the keys that were not there before
    known(7, ids)                                                       → those of `ids` that are stored

Inserting is idempotent: the primary key (customer, id) dedupes, `ON CONFLICT DO NOTHING` passes over what is there,
and `RETURNING` tells which rows are new, in the one statement, so that two drains cannot both count an event.
Works on SQLite (3.35 or newer) and PostgreSQL alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from events import parties
from events.models import Event

Key = tuple[int, UUID]
"""(customer, event id)"""
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
        return self.customer_id, self.id


_TABLE = Event._meta.db_table
_COLUMNS = ", ".join(f"{name}_id" if name in {"server", "client"} else name for name in NewEvent._fields)
_ID, _TIMESTAMP, _SERVER, _CLIENT = map(NewEvent._fields.index, ("id", "timestamp", "server", "client"))
_PLACES = f"({', '.join(['%s'] * len(NewEvent._fields))})"


def insert(events: Sequence[NewEvent]) -> set[Key]:
    """Store what is not stored yet; the keys of what was. No two of `events` may have the same key."""
    row = _row_maker(parties.numbers({(event.customer_id, *party) for event in events for party in _parties_of(event)}))
    added: set[Key] = set()
    ordered = sorted(events, key=lambda event: event.key)  # two drains take their locks in one order
    with connection.cursor() as cursor:
        for start in range(0, len(ordered), ROWS_A_STATEMENT):
            part = ordered[start : start + ROWS_A_STATEMENT]
            cursor.execute(_insert_statement(len(part)), [value for event in part for value in row(event)])
            added.update((customer_id, _uuid(found)) for customer_id, found in cursor.fetchall())
    return added


def known(customer_id: int, ids: Iterable[UUID]) -> set[UUID]:
    """Those of `ids` this customer has stored: one look-up in the primary key each."""
    wanted = [_id_maker()(event_id) for event_id in ids]
    found: set[UUID] = set()
    with connection.cursor() as cursor:
        for start in range(0, len(wanted), IDS_A_STATEMENT):
            part = wanted[start : start + IDS_A_STATEMENT]
            cursor.execute(_known_statement(len(part)), [customer_id, *part])
            found.update(_uuid(row[0]) for row in cursor.fetchall())
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


def _row_maker(numbers: Mapping[parties.Key, int]) -> Callable[[NewEvent], Sequence[Any]]:
    """How a row's values are handed to this database's driver: SQLite has neither UUIDs nor times, so Django writes
    them as 32 hex digits and as text without a zone."""
    native = connection.features.has_native_uuid_field

    def row(event: NewEvent) -> Sequence[Any]:
        values: list[Any] = list(event)
        values[_SERVER] = numbers.get((event.customer_id, *event.server))
        values[_CLIENT] = numbers.get((event.customer_id, *event.client))
        if not native:
            values[_ID], values[_TIMESTAMP] = event.id.hex, sqlite_moment(event.timestamp)
        return values

    return row


def _parties_of(event: NewEvent) -> Iterable[PartyNames]:
    return (party for party in (event.server, event.client) if any(party))


def sqlite_moment(moment: datetime) -> str:
    """`moment` as Django's SQLite backend stores it."""
    return str(moment.astimezone(UTC).replace(tzinfo=None))


def _id_maker() -> Callable[[UUID], Any]:
    return (lambda event_id: event_id) if connection.features.has_native_uuid_field else (lambda event_id: event_id.hex)


def _uuid(found: UUID | str) -> UUID:
    return found if isinstance(found, UUID) else UUID(found)
