"""Where an overview's figures come from: the minutes of the events themselves, or the rollups of hours and days.

    source = FromRollups(course, parts, before)
    source.moments()                          → [(moment, (events, requests, errors, bytes), histogram), …]
    source.standing()                         → the tools and servers that stand out, with what their percentiles need

A histogram only Python can merge, and a customer may have 10,000 tools: so sums and ranks are made by the database, and
histograms are read, joined by it (`events.joined`), only for what is shown.

The slowest tools are those with the highest p95 among the `CANDIDATES` whose mean is highest: of fewer tools, of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nlargest
from typing import Any, Protocol

from django.db.models import Q, QuerySet

from events.histogram import Histogram
from events.joined import Joined, whole_sum
from events.models import Rollup
from events.rows import Measure
from events.statements import Statement, answer, by_code_point, sum_of, together, whole

TOP = 5  # tools and servers of each list
CANDIDATES = 50  # for the slowest: a p95 is at most twenty times the mean, so few are worth to be read
Key = tuple[str, str]
"""(server, tool); a blank tool is what was asked of the server beside its tools"""
Sums = tuple[int, int, int, int]
"""events, requests, errors, bytes"""
Stored = bytes | memoryview
"""encoded histograms, some behind each other"""
_SUMS = ("events", "requests", "errors", "bytes")
_RANKED = ("server", "tool", "events", "requests", "errors", "timed", "duration_ms")


@dataclass(slots=True)
class Total:
    """Sums, and the durations where they were read."""

    events: int = 0
    requests: int = 0
    errors: int = 0
    bytes: int = 0
    histogram: Histogram = field(default_factory=Histogram)

    def add(self, sums: Sums, stored: Stored) -> None:
        """Add sums and encoded histograms."""
        self.events += sums[0]
        self.requests += sums[1]
        self.errors += sums[2]
        self.bytes += sums[3]
        self.histogram.merge(stored)

    def __iadd__(self, other: Total) -> Total:
        self.events += other.events
        self.requests += other.requests
        self.errors += other.errors
        self.bytes += other.bytes
        self.histogram += other.histogram
        return self

    def percentiles(self) -> list[float | None]:
        """The 50th, 95th and 99th, in ms."""
        return [*self.histogram.quantiles(0.5, 0.95, 0.99)] or [None, None, None]


@dataclass(frozen=True, slots=True)
class Standing:
    """Candidates for the slowest, those that fail most, the busiest servers, each in order; how many `servers` were
    heard of. Bytes are not summed."""

    slow: dict[Key, Total]
    failing: dict[Key, Total]
    busiest: dict[str, Total]
    servers: int


class Source(Protocol):
    """One customer's range."""

    def moments(self) -> Iterable[tuple[datetime, Sums, Stored]]:
        """What the minutes, hours or days of the range held, and their histograms."""
        ...

    def standing(self) -> Standing:
        """Who stands out."""
        ...

    def before(self) -> tuple[Total, int]:
        """All of the time before, and how many servers it had."""
        ...


class FromMinutes:
    """Rows of minutes, read already, histograms and all."""

    def __init__(self, rows: Sequence[Measure], before: Iterable[Measure]) -> None:
        self._rows, self._rows_before = rows, before

    def moments(self) -> Iterable[tuple[datetime, Sums, Stored]]:
        return ((row.at, _sums(row), row.histogram) for row in self._rows)

    def standing(self) -> Standing:
        """The median stands in for the mean: the minutes have no sum of durations."""
        tools: dict[Key, Total] = {}
        servers: dict[str, Total] = {}
        for row in self._rows:
            tools.setdefault((row.server, row.tool), Total()).add(_sums(row), row.histogram)
        for (server, _), total in tools.items():
            servers.setdefault(server, Total()).__iadd__(total)
        called = {key: total for key, total in tools.items() if key[1]}
        middle = {key: total.histogram.quantile(0.5) or 0.0 for key, total in called.items()}
        slow = nlargest(CANDIDATES, called, key=middle.__getitem__)
        failing = sorted((key for key in called if called[key].errors), key=lambda key: (-called[key].errors, key))
        busiest = sorted(servers, key=lambda name: (-servers[name].events, name))
        return Standing(
            {key: called[key] for key in slow},
            {key: called[key] for key in failing[:TOP]},
            {name: servers[name] for name in busiest[:TOP]},
            len(servers),
        )

    def before(self) -> tuple[Total, int]:
        total, servers = Total(), set[str]()
        for row in self._rows_before:
            total.add(_sums(row), row.histogram)
            servers.add(row.server)
        return total, len(servers)


class FromRollups:
    """`course` holds the steps; `parts` together the same time in fewer rows, where there are such; so `before`."""

    def __init__(
        self, course: QuerySet[Rollup], parts: Sequence[QuerySet[Rollup]], before: Sequence[QuerySet[Rollup]]
    ) -> None:
        self._course, self._parts, self._before = course, parts, before

    def moments(self) -> Iterable[tuple[datetime, Sums, Stored]]:
        return ((row[0], row[1:5], row[5]) for row in _joined(self._course, "at"))

    def standing(self) -> Standing:
        lists: dict[str, dict[Key, Total]] = {"slow": {}, "failing": {}, "busiest": {}}
        tools: dict[Key, Total] = {}
        servers = 0
        sql, parameters = _ranking(together(self._parts, *_RANKED))
        for name, server, tool, events, requests, errors in answer(sql, parameters):
            if name == "servers":
                servers = events
            else:
                total = Total(events, requests, errors)
                lists[name][server, tool] = tools.setdefault((server, tool), total) if tool else total
        busiest = {server: total for (server, _), total in lists["busiest"].items()}
        self._add_durations(tools, busiest)
        return Standing(lists["slow"], lists["failing"], busiest, servers)

    def before(self) -> tuple[Total, int]:
        total, servers = Total(), set[str]()
        for part in self._before:
            for server, *row in _joined(part, "server"):
                total.add((row[0], row[1], row[2], row[3]), row[4])
                servers.add(server)
        return total, len(servers)

    def _add_durations(self, tools: dict[Key, Total], servers: dict[str, Total]) -> None:
        near = Q(server__in=servers) | Q(server__in={key[0] for key in tools}, tool__in={key[1] for key in tools})
        for part in self._parts:
            timed = part.filter(near, timed__gt=0).values_list("server", "tool")
            for server, tool, stored in timed.annotate(histograms=Joined("histogram")).order_by():
                wanted = [each for each in (tools.get((server, tool)), servers.get(server)) if each is not None]
                if wanted:
                    read = Histogram()
                    read.merge(stored)
                    for total in wanted:
                        total.histogram += read


def _ranking(rows: Statement) -> Statement:
    """(list, server, tool, events, requests, errors) of those that stand out of `rows`, which hold `_RANKED`; of the
    list `servers` there is one row, whose `events` are how many there are. One pass."""
    sums = ", ".join(f"{sum_of(name)} AS {name}" for name in _RANKED[2:])
    server, tool = by_code_point("server"), by_code_point("tool")
    figures = ", ".join(map(whole, ("events", "requests", "errors")))
    sql = f"""
        WITH rows ({", ".join(_RANKED)}) AS ({rows.sql}),
        summed AS (SELECT server, tool, {sums} FROM rows GROUP BY server, tool),
        slow AS (SELECT * FROM summed WHERE tool <> '' AND timed > 0
            ORDER BY duration_ms / timed DESC, {server}, {tool} LIMIT {CANDIDATES}),
        failing AS (SELECT * FROM summed WHERE tool <> '' AND errors > 0
            ORDER BY errors DESC, {server}, {tool} LIMIT {TOP}),
        servers AS (SELECT server, '' AS tool, SUM(events) AS events, SUM(requests) AS requests, SUM(errors) AS errors
            FROM summed GROUP BY server),
        busiest AS (SELECT * FROM servers ORDER BY events DESC, {server} LIMIT {TOP})
        SELECT 'slow', server, tool, {figures} FROM slow
        UNION ALL SELECT 'failing', server, tool, {figures} FROM failing
        UNION ALL SELECT 'busiest', server, tool, {figures} FROM busiest
        UNION ALL SELECT 'servers', '', '', COUNT(*), 0, 0 FROM servers"""  # noqa: S608 - see `events.statements`
    return Statement(sql, rows.parameters)


def _sums(row: Measure) -> Sums:
    return row.events, row.requests, row.errors, row.bytes


def _joined(rows: QuerySet[Rollup], key: str) -> QuerySet[Rollup, tuple[Any, ...]]:
    """(key, the sums, histograms) of each group. Not named as their columns: a filter after it would mean the sums."""
    sums = {f"sum_{name}": whole_sum(name) for name in _SUMS}
    return rows.values_list(key).annotate(**sums, histograms=Joined("histogram")).order_by()
