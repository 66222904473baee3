"""Events in PostgreSQL: COPY into a table partitioned by day.

A drain copies its rows straight into the table: nearly always all of them are new, and then that is all. Only when one
of them is there already the copy is undone, and repeated by way of a temporary table with `ON CONFLICT DO NOTHING`.
Rows go in one order, so that two drains with the same events wait for each other, never in a ring.

Planning a query that may touch any of some hundred partitions takes longer than the query, so every read says which
days it needs: a session's row knows when the session was, and the daily rollups, which are written in the same
transaction as the events, know on which days a customer has any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet, Sum
from psycopg.errors import CheckViolation

from events import parties
from events.event_ids import ID_MAY_DIFFER, day_of, ids_between
from events.models import DailyRollup, Event, Session
from events.store import NewEvent
from events.stores import partitions
from events.stores.relational import RelationalStore, Span

Result = TypeVar("Result")

MAX_ATTACHED = 10  # partitions that may come into being during one drain: more than are ever missing
_FEW_DAYS = 8  # of rollups read first: an active customer's page lies within them
_TABLE = Event._meta.db_table
_STAGE = f"{_TABLE}_stage"
_COLUMNS = ", ".join(f"{name}_id" if name in {"server", "client"} else name for name in NewEvent._fields)
_TYPES = {  # what binary COPY must be told; every other column is text
    "customer_id": "int8",
    "id": "uuid",
    "timestamp": "timestamptz",
    "sequence": "int8",
    "duration_ms": "float8",
    "is_error": "bool",
    "size": "int8",
    "server": "int8",
    "client": "int8",
    "is_base64": "bool",
    "truncated": "bool",
}
_COPIED = [_TYPES.get(name, "text") for name in NewEvent._fields]
_SERVER, _CLIENT = map(NewEvent._fields.index, ("server", "client"))
_FROM_STAGE = f"""
    INSERT INTO {_TABLE} ({_COLUMNS}) SELECT {_COLUMNS} FROM {_STAGE} ORDER BY id, customer_id
    ON CONFLICT (customer_id, id) DO NOTHING RETURNING customer_id, id"""  # noqa: S608 - names of ours


class PostgresqlStore(RelationalStore):
    """See the module. 5,000 events are 0.4 s of one transaction, and share the cost of its commit and its counters."""

    claimed_rows = 1_000
    claimed_events = 5_000

    def insert(self, events: Iterable[NewEvent]) -> list[NewEvent]:
        """Store what is not stored yet; those of `events` that were new."""
        ordered = sorted(events, key=lambda event: (event.id.int, event.customer_id))  # partition by partition
        if not ordered:
            return []
        numbers = parties.numbers_of(ordered)
        try:
            _steadily(lambda: _copy(_TABLE, ordered, numbers))
        except IntegrityError:  # one of them is there already
            return _steadily(lambda: _insert_by_stage(ordered, numbers))
        return ordered

    def prepare(self, *, now: datetime) -> None:
        """Partitions for the days around `now`."""
        partitions.make_ahead(now)

    def drop_before(self, day: datetime) -> int:
        """Drop the partitions that end at `day` or earlier."""
        return partitions.drop_before(day)

    def _span(self, customer_id: int, session_id: str) -> Span | None:
        times = Session.objects.filter(customer_id=customer_id, session_id=session_id)
        found = times.values_list("started_at", "last_at").first()
        return None if found is None else ids_between(*found)

    def _newest(
        self, found: QuerySet[Event], customer_id: int, latest: datetime | None, wanted: int
    ) -> QuerySet[Event]:
        days = DailyRollup.objects.filter(customer_id=customer_id)
        newest = None if latest is None else day_of(latest)
        if latest is not None:
            days = days.filter(at__lt=latest + ID_MAY_DIFFER)
        counts = days.values_list("at").annotate(events=Sum("events")).order_by("-at")
        lowest = _reached(counts[:_FEW_DAYS], wanted, newest)
        if lowest is None:
            lowest = _reached(counts, wanted, newest)
        if lowest is None:
            oldest = days.order_by("at").values_list("at", flat=True).first()
            return found.none() if oldest is None else found.filter(id__gte=ids_between(oldest, oldest)[0])
        return found.filter(id__gte=ids_between(lowest, lowest)[0])


def _reached(counts: Iterable[tuple[datetime, int]], wanted: int, newest: datetime | None) -> datetime | None:
    """The day down to which `counts`, newest first, hold `wanted` events; `None` when they hold fewer. The day a page
    begins in may be used up already, so its events are not relied on."""
    held = 0
    for at, events in counts:
        held += events if newest is None or at < newest else 0
        if held >= wanted:
            return at
    return None


def _steadily(write: Callable[[], Result]) -> Result:
    """What `write` returns, undone as a whole where it fails.

    A row that was on its way to the default partition when its own day was attached is refused by PostgreSQL ("violates
    partition constraint"): the next try finds its place.
    """
    left = MAX_ATTACHED
    while True:
        try:
            with transaction.atomic():
                return write()
        except IntegrityError as error:
            left -= 1
            if not left or not isinstance(error.__cause__, CheckViolation):
                raise


def _insert_by_stage(ordered: Sequence[NewEvent], numbers: Mapping[parties.Key, int]) -> list[NewEvent]:
    """The same, past what is there: by a temporary table that ends with the transaction."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE {_STAGE} (LIKE {_TABLE} INCLUDING DEFAULTS) ON COMMIT DROP")
        _copy(_STAGE, ordered, numbers)
        cursor.execute(_FROM_STAGE)
        new = set(cursor.fetchall())
        cursor.execute(f"DROP TABLE {_STAGE}")
    return [event for event in ordered if (event.customer_id, event.id) in new]


def _copy(table: str, events: Sequence[NewEvent], numbers: Mapping[parties.Key, int]) -> None:
    """Binary COPY: a quarter of the text form's work. Raises Django's database errors."""
    statement = f"COPY {table} ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
        copy.set_types(_COPIED)
        for row in _rows(events, numbers):
            copy.write_row(row)


def _rows(events: Iterable[NewEvent], numbers: Mapping[parties.Key, int]) -> Iterator[Sequence[Any]]:
    for event in events:
        values: list[Any] = list(event)
        values[_SERVER] = numbers.get((event.customer_id, *event.server))
        values[_CLIENT] = numbers.get((event.customer_id, *event.client))
        yield values
