"""The SQL of what is asked of ClickHouse.

A page is found in two steps of one query: the ids that are on it, from narrow columns; then those rows, by the primary
key, with the beginning of each message. So no message is read but those that are shown.

`FINAL` makes one row of those that a crash has left of one event. It merges by the key and within a day, so it costs
little: a page of the newest of a million a day takes as long as without it, where `LIMIT 1 BY id` reads them all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from events.event_ids import first_id
from events.histogram import GAMMA, LONGEST_MS, SHORTEST_MS
from events.rows import OWN, READ_CHARACTERS, EventRow, event_row, whole_row
from events.store import ANSWERS, EventFilter
from events.stores.clickhouse.connection import reader
from events.stores.clickhouse.schema import TABLE

NEWEST = "id DESC"
IN_SEQUENCE = "sequence, id"
_PARTIES = [f"{side}_{part}" for side in ("server", "client") for part in ("name", "version", "title")]
_COLUMNS = ", ".join([*OWN, *_PARTIES])
_PREVIEW = f"substringUTF8(message, 1, {READ_CHARACTERS})"


@dataclass(frozen=True, slots=True)
class Rows:
    """Events that satisfy all `conditions`, which name `values`."""

    conditions: tuple[str, ...]
    values: dict[str, Any] = field(default_factory=dict)

    def where(self, condition: str, **values: Any) -> Rows:
        """Those that also satisfy `condition`."""
        return Rows((*self.conditions, condition), self.values | values)

    def from_id(self, lowest: UUID) -> Rows:
        return self.where("id >= {lowest:UInt128}", lowest=lowest.int)

    def below(self, end: UUID) -> Rows:
        return self.where("id < {end:UInt128}", end=end.int)

    @property
    def sql(self) -> str:
        return " AND ".join(self.conditions)


def of_customer(customer_id: int) -> Rows:
    """All of a customer's events."""
    return Rows(("customer_id = {customer:UInt64}",), {"customer": customer_id})


def with_ids(customer_id: int, ids: Iterable[UUID]) -> Rows:
    """Those of a customer's events that have one of `ids`."""
    numbers = [event_id.int for event_id in ids]
    return of_customer(customer_id).where("id IN {ids:Array(UInt128)}", ids=numbers)


def narrowed(found: Rows, only: EventFilter) -> Rows:
    """Those of `found` that `only` names, but for its times."""
    for name in ("session_id", "type", "direction", "method", "tool"):
        if value := getattr(only, name):
            found = found.where(f"{name} = {{{name}:String}}", **{name: value})
    if only.server:
        found = found.where("server_name = {server:String}", server=only.server)
    return found.where("is_error") if only.errors_only else found


def within(found: Rows, only: EventFilter, below: UUID | None) -> Rows:
    """Those of `found` that are of the filter's times, and below an id where it is given."""
    if only.since is not None:
        found = found.where("id >= {since:UInt128}", since=first_id(only.since).int)
    if only.until is not None:
        found = found.where("id < {until:UInt128}", until=first_id(only.until).int)
    return found if below is None else found.below(below)


def event(found: Rows) -> EventRow | None:
    """The one event of `found`, with its whole message."""
    sql = f"SELECT {_COLUMNS}, message FROM {TABLE} FINAL WHERE {found.sql}"  # noqa: S608 - names of ours
    for columns in reader().rows(sql, **found.values):
        return whole_row(_with_id(columns))
    return None


def nth_newest(found: Rows, number: int) -> UUID | None:
    """The id behind which `number` newer ones of `found` are."""
    sql = f"SELECT id FROM {TABLE} FINAL WHERE {found.sql} ORDER BY {NEWEST} LIMIT 1 OFFSET {number}"  # noqa: S608
    return next((UUID(int=row[0]) for row in reader().rows(sql, **found.values)), None)


def ordered(found: Rows, order: str, limit: int | None = None) -> list[EventRow]:
    """The first `limit` of `found`, or all of them, in this order."""
    end = "" if limit is None else f"LIMIT {limit}"
    return _page(found, f"SELECT id FROM {TABLE} FINAL WHERE {found.sql} ORDER BY {order} {end}", order)  # noqa: S608


def openings(session: Rows, after: Rows, limit: int) -> list[EventRow]:
    """The first `limit` of `after`, a part of `session`, that answer nothing recorded in it."""
    asked = f"""
        SELECT correlation_id AS asked, direction AS asked_by, min(sequence) AS asked_at FROM {TABLE} FINAL
        WHERE {session.sql} AND type = 'request' AND correlation_id != '' GROUP BY asked, asked_by"""  # noqa: S608
    is_answer = f"type IN {ANSWERS} AND asked != '' AND asked_at < sequence"
    picked = f"""
        SELECT id FROM
        (SELECT id, sequence, type, correlation_id, direction FROM {TABLE} FINAL WHERE {after.sql}) AS said
        LEFT JOIN ({asked}) AS requests
        ON asked = correlation_id AND asked_by = if(direction = 'request', 'response', 'request')
        WHERE NOT ({is_answer}) ORDER BY {IN_SEQUENCE} LIMIT {limit}"""  # noqa: S608
    return _page(after, picked, IN_SEQUENCE)


def minutes(found: Rows, most: int, *, timed: bool) -> list[tuple[Any, ...]]:
    """(minute, server, method, tool, buckets of the durations, events, requests, errors, bytes) of the newest `most` of
    `found`, a range of ids and nothing else: what `relational.measure` takes."""
    newest_of = f"SELECT * FROM {TABLE} FINAL WHERE {found.sql} ORDER BY {NEWEST} LIMIT {most}"  # noqa: S608 - names of ours
    within = f"least(greatest(assumeNotNull(duration_ms), {SHORTEST_MS}), {LONGEST_MS})"
    bucket = f"toString(toInt32(ceil(log({within}) / {math.log(GAMMA)!r})))"
    buckets = f"arrayStringConcat(groupArrayIf({bucket}, isNotNull(duration_ms)), ',')" if timed else "''"
    sql = f"""
        SELECT toStartOfMinute(timestamp) AS minute, server_name, method, tool,
            {buckets},
            count(), countIf(type = 'request'), countIf(is_error), sum(size)
        FROM ({newest_of}) GROUP BY minute, server_name, method, tool"""  # noqa: S608
    return reader().rows(sql, **found.values)


def place_from_end(session: Rows, last: int) -> tuple[int, UUID] | None:
    """(sequence, id) of the event behind which `last` are."""
    backwards = f"ORDER BY sequence DESC, id DESC LIMIT 1 OFFSET {last}"
    sql = f"SELECT sequence, id FROM {TABLE} FINAL WHERE {session.sql} {backwards}"  # noqa: S608
    return next(((row[0], UUID(int=row[1])) for row in reader().rows(sql, **session.values)), None)


def _page(found: Rows, picked: str, order: str) -> list[EventRow]:
    """The rows whose ids `picked` selects, in this order."""
    customer = found.conditions[0]
    sql = f"SELECT {_COLUMNS}, {_PREVIEW} FROM {TABLE} FINAL WHERE {customer} AND id IN ({picked}) ORDER BY {order}"  # noqa: S608
    return [event_row(_with_id(columns)) for columns in reader().rows(sql, **found.values)]


def _with_id(columns: tuple[Any, ...]) -> tuple[Any, ...]:
    return UUID(int=columns[0]), *columns[1:]
