"""Events in PostgreSQL: COPY into a table partitioned by day.

A drain copies its rows straight into the table (`events.stores.copying`), partition by partition.

Planning a query that may touch any of some hundred partitions takes longer than the query, so every read says which
days it needs (`events.stores.days`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from core import shared_clock
from core.paging import Page, paginate
from events import parties
from events.event_ids import DAY, first_id
from events.models import Event
from events.rows import EventRow, event_row, previewed
from events.store import NOTHING, STORED, EventFilter, NewEvent
from events.stores import days, partitions
from events.stores.copying import CopiedTable
from events.stores.relational import RelationalStore

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
_EVENTS = CopiedTable(
    Event._meta.db_table,
    columns=[f"{name}_id" if name in {"server", "client"} else name for name in STORED],
    types=[_TYPES.get(name, "text") for name in STORED],
)
_CUSTOMER, _BEGIN, _END = -1, UUID(int=0), UUID(int=1)  # of no event: they stand for a question's own
_SERVER, _CLIENT = map(STORED.index, ("server", "client"))


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
        new = _EVENTS.insert([_row(event, numbers) for event in ordered])
        return ordered if new is None else [event for event in ordered if (event.customer_id, event.id) in new]

    def recent_events(self, customer_id: int, *, after: str | None, limit: int, only: EventFilter) -> Page[EventRow]:
        """As the others. An active customer's first page lies in the last day: asked for alone, it is one quick query,
        and where it is full nothing else can be newer."""
        if after is None and only == NOTHING:
            now = shared_clock.now()  # accepted events are a day ahead of it at most
            page = _newest_between(customer_id, first_id(now - DAY), first_id(now + 2 * DAY), limit)
            if page.next is not None:
                return page
        return super().recent_events(customer_id, after=after, limit=limit, only=only)

    def prepare(self, *, now: datetime) -> None:
        """Partitions for the days around `now`."""
        partitions.make_ahead(now)

    def drop_before(self, day: datetime) -> int:
        """Drop the partitions that end at `day` or earlier."""
        return partitions.drop_before(day)

    def _span(self, customer_id: int, session_id: str) -> days.Span | None:
        return days.span_of(customer_id, session_id)

    def _newest(
        self, found: QuerySet[Event], customer_id: int, latest: datetime | None, wanted: int
    ) -> QuerySet[Event]:
        lowest = days.lowest_of_newest(customer_id, latest, wanted)
        return found.none() if lowest is None else found.filter(id__gte=lowest)


def _newest_between(customer_id: int, begin: UUID, end: UUID, limit: int) -> Page[EventRow]:
    """As `newest_page` of a customer's events from `begin` on, below `end`."""
    sql, parameters = _newest_statement(limit)
    given: dict[Any, Any] = {_CUSTOMER: customer_id, _BEGIN: begin, _END: end}
    with connection.cursor() as cursor:
        cursor.execute(sql, [given.get(each, each) for each in parameters])
        return paginate([event_row(row) for row in cursor.fetchall()], limit, lambda row: row.id)


@cache
def _newest_statement(limit: int) -> tuple[str, tuple[Any, ...]]:
    """With its parameters, some of them to be replaced. Written once a process: that takes longer than its answer."""
    found = Event.objects.filter(customer_id=_CUSTOMER, id__gte=_BEGIN, id__lt=_END).order_by("-id")
    return previewed(found)[: limit + 1].query.sql_with_params()


def _row(event: NewEvent, numbers: Mapping[parties.Key, int]) -> list[Any]:
    values: list[Any] = list(event[: len(STORED)])
    values[_SERVER] = numbers.get((event.customer_id, *event.server))
    values[_CLIENT] = numbers.get((event.customer_id, *event.client))
    return values
