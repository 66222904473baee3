"""Events in SQLite: `INSERT … ON CONFLICT DO NOTHING RETURNING`, a hundred rows a statement.

The primary key (customer, id) dedupes, and `RETURNING` tells which rows are new, in the one statement. Transactions
stay small: SQLite has one write lock, and requests wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection

from events import parties
from events.models import Event
from events.store import STORED, NewEvent
from events.stores.relational import IDS_A_STATEMENT, RelationalStore

ROWS_A_STATEMENT = 100  # 18 parameters each: well below SQLite's 32,766

_TABLE = Event._meta.db_table
_COLUMNS = tuple(f"{name}_id" if name in {"server", "client"} else name for name in STORED)
_ID, _TIMESTAMP, _SERVER, _CLIENT = map(STORED.index, ("id", "timestamp", "server", "client"))


class SqliteStore(RelationalStore):
    """See the module. 250 events keep the write lock below some 15 ms."""

    claimed_rows = 200
    claimed_events = 250

    def insert(self, events: Iterable[NewEvent]) -> list[NewEvent]:
        """Store what is not stored yet; those of `events` that were new."""
        ordered = sorted(events, key=lambda event: event.key)
        row = _row_maker(parties.numbers_of(ordered))
        new = insert_new(_TABLE, _COLUMNS, [row(event) for event in ordered])
        return [event for event in ordered if (event.customer_id, event.id.hex) in new]

    def known(self, customer_id: int, ids: Iterable[UUID]) -> set[UUID]:
        """Those of `ids` this customer has stored; by a statement of its own, which is three times as fast."""
        return known_in(_TABLE, customer_id, ids)


def insert_new(table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> set[tuple[int, str]]:
    """Add those of `rows` that are not there; their keys, the first two columns: (customer, 32 hex digits)."""
    new: set[tuple[int, str]] = set()
    with connection.cursor() as cursor:
        for start in range(0, len(rows), ROWS_A_STATEMENT):
            part = rows[start : start + ROWS_A_STATEMENT]
            statement = _insert_statement(table, tuple(columns), len(part))
            cursor.execute(statement, [value for values in part for value in values])
            new.update(cursor.fetchall())
    return new


def known_in(table: str, customer_id: int, ids: Iterable[UUID]) -> set[UUID]:
    """Those of `ids` that this customer has in `table`."""
    wanted = {event_id.hex: event_id for event_id in ids}
    spelled = list(wanted)
    found: set[UUID] = set()
    with connection.cursor() as cursor:
        for start in range(0, len(spelled), IDS_A_STATEMENT):
            part = spelled[start : start + IDS_A_STATEMENT]
            cursor.execute(_known_statement(table, len(part)), [customer_id, *part])
            found.update(wanted[row[0]] for row in cursor.fetchall())
    return found


@cache
def _insert_statement(table: str, columns: tuple[str, ...], rows: int) -> str:
    places = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * rows)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES {places} "  # noqa: S608 - names of ours, values as parameters
        "ON CONFLICT (customer_id, id) DO NOTHING RETURNING customer_id, id"
    )


@cache
def _known_statement(table: str, ids: int) -> str:
    places = ", ".join(["%s"] * ids)
    return f"SELECT id FROM {table} WHERE customer_id = %s AND id IN ({places})"  # noqa: S608 - as above


def _row_maker(numbers: Mapping[parties.Key, int]) -> Callable[[NewEvent], list[Any]]:
    """How a row's values are handed to the driver: SQLite has no UUIDs, so Django writes 32 hex digits."""

    def row(event: NewEvent) -> list[Any]:
        values: list[Any] = list(event[: len(STORED)])
        values[_ID] = event.id.hex
        values[_TIMESTAMP] = sqlite_moment(event.timestamp)
        values[_SERVER] = numbers.get((event.customer_id, *event.server))
        values[_CLIENT] = numbers.get((event.customer_id, *event.client))
        return values

    return row


def sqlite_moment(moment: datetime) -> str:
    """`moment`, in UTC, as Django's SQLite backend stores it: SQLite has no times."""
    return str(moment.replace(tzinfo=None))
