"""Counts by hour and by day for each (server, method, tool), kept in the drain's transaction.

    add([NewEvent(timestamp=15:40, server=("git", …), method="tools/call", tool="git_log", duration_ms=12.5, …), …])

Sums add in SQL, by a statement that also takes the row's lock (or makes the row); a histogram is then read, merged here
and written back under that lock. Rows are taken in one order, so that two drains wait for each other, never in a ring.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import NamedTuple

from django.db import connection
from django.db.models import QuerySet

from events.histogram import LONGEST_MS, Histogram
from events.models import DailyRollup, HourlyRollup, Rollup
from events.store import NewEvent
from events.upserts import upsert

_SUMS = ("events", "requests", "errors", "bytes", "timed", "duration_ms")


class Key(NamedTuple):
    """Of one row. `at` is the beginning of the hour or of the UTC day."""

    customer_id: int
    at: datetime
    server: str
    method: str
    tool: str


class _Change:
    """What one drain's events change about one row."""

    __slots__ = ("bytes", "duration_ms", "errors", "events", "histogram", "requests", "timed")

    def __init__(self) -> None:
        self.events = self.requests = self.errors = self.bytes = self.timed = 0
        self.duration_ms = 0.0
        self.histogram = Histogram()

    def add(self, event: NewEvent) -> None:
        self.events += 1
        self.requests += event.type == "request"
        self.errors += event.is_error
        self.bytes += event.size
        if event.duration_ms is not None:
            self.timed += 1
            self.duration_ms += min(event.duration_ms, LONGEST_MS)
            self.histogram.add(event.duration_ms)

    def sums(self) -> tuple[float, ...]:
        """In the order of `_SUMS`."""
        return self.events, self.requests, self.errors, self.bytes, self.timed, self.duration_ms


def add(events: Iterable[NewEvent]) -> None:
    """Count `events`, all of them new, into their hours and days."""
    hours: dict[Key, _Change] = {}
    days: dict[Key, _Change] = {}
    for event in events:
        hour = event.timestamp.replace(minute=0, second=0, microsecond=0)
        for changes, at in ((hours, hour), (days, hour.replace(hour=0))):
            key = Key(event.customer_id, at, event.server[0], event.method, event.tool)
            change = changes.get(key)
            if change is None:
                change = changes[key] = _Change()
            change.add(event)
    _write(HourlyRollup, hours)
    _write(DailyRollup, days)


def _write(model: type[Rollup], changes: Mapping[Key, _Change]) -> None:
    adapt = connection.ops.adapt_datetimefield_value
    rows = {key: (key.customer_id, adapt(key.at), key.server, key.method, key.tool) for key in sorted(changes)}
    timed = [key for key in rows if changes[key].timed]
    with connection.cursor() as cursor:
        cursor.executemany(_add_statement(model), [(*row, *changes[key].sums(), b"") for key, row in rows.items()])
        before = _histograms(model, timed)
        merged = [((before[key] + changes[key].histogram).encode(), *rows[key]) for key in timed]
        cursor.executemany(_merge_statement(model), merged)


def _histograms(model: type[Rollup], keys: Collection[Key]) -> dict[Key, Histogram]:
    """What is stored under `keys`. The query may read some rows more, never fewer."""
    near: QuerySet[Rollup] = model._default_manager.filter(
        **{f"{name}__in": {getattr(key, name) for key in keys} for name in Key._fields}
    )
    rows = near.values_list(*Key._fields, "histogram") if keys else ()
    return {Key(*row[:-1]): Histogram.decode(row[-1]) for row in rows}


@cache
def _add_statement(model: type[Rollup]) -> str:
    """A new row begins with an empty histogram; one that is there keeps its own until `_merge_statement`."""
    table = model._meta.db_table
    changes = {name: f"{table}.{name} + excluded.{name}" for name in _SUMS}
    return upsert(model, Key._fields, changes | {"histogram": f"{table}.histogram"})


@cache
def _merge_statement(model: type[Rollup]) -> str:
    where = " AND ".join(f"{name} = %s" for name in Key._fields)
    return f"UPDATE {model._meta.db_table} SET histogram = %s WHERE {where}"  # noqa: S608 - as above
