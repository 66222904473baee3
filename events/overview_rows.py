"""Where an overview's figures come from: the minutes of the events themselves, or the rollups of hours and days.

    source = FromRollups(course, parts, before)
    source.moments()                          → [(moment, Total), …]
    totals = source.tools()                   → {("git", "git_log"): Total(requests=204, …), …}
    source.add_durations(totals, chosen)      what percentiles need, for those that are shown

A histogram only Python can merge, and a customer may have 10,000 tools: so sums are made by the database for all of
them, and histograms are read, joined by the database (`events.joined`), only for what is shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.db.models import QuerySet, Sum

from events.histogram import Histogram
from events.joined import Joined, whole_sum
from events.models import Rollup
from events.rows import Measure

Key = tuple[str, str]
"""(server, tool); a blank tool is what was asked of the server beside its tools"""
_SUMS = ("events", "requests", "errors", "bytes")
_MEAN = ("timed", "duration_ms")


@dataclass(slots=True)
class Total:
    """Sums, and the durations where they were read. `mean_ms` is of the rollups' own sums."""

    events: int = 0
    requests: int = 0
    errors: int = 0
    bytes: int = 0
    mean_ms: float = 0.0
    histogram: Histogram = field(default_factory=Histogram)

    def add(self, row: Sequence[Any], stored: Iterable[Any] = ()) -> None:
        """Add sums in the order of `_SUMS`, and encoded histograms."""
        self.events += row[0]
        self.requests += row[1]
        self.errors += row[2]
        self.bytes += row[3]
        for each in stored:
            self.histogram.merge(each)

    def __iadd__(self, other: Total) -> Total:
        self.add((other.events, other.requests, other.errors, other.bytes))
        self.histogram += other.histogram
        return self

    def percentiles(self) -> list[float | None]:
        """The 50th, 95th and 99th, in ms."""
        return [*self.histogram.quantiles(0.5, 0.95, 0.99)] or [None, None, None]


class Source(Protocol):
    """One customer's range."""

    def moments(self) -> Iterable[tuple[datetime, Total]]:
        """The minutes, hours or days of the range."""
        ...

    def tools(self) -> dict[Key, Total]:
        """Sums of everything that was heard of."""
        ...

    def add_durations(self, totals: dict[Key, Total], keys: Collection[Key]) -> None:
        """Read the histograms of `keys` into their totals, if they are not there."""
        ...

    def server_durations(self, totals: dict[Key, Total], names: Collection[str]) -> dict[str, Histogram]:
        """The histograms of servers."""
        ...

    def before(self) -> tuple[Total, int]:
        """All of the time before, and how many servers it had."""
        ...


class FromMinutes:
    """Rows of minutes, read already, histograms and all."""

    def __init__(self, rows: Iterable[Measure], before: Iterable[Measure]) -> None:
        self._moments: dict[datetime, Total] = {}
        self._tools: dict[Key, Total] = {}
        for row in rows:
            sums, stored = (row.events, row.requests, row.errors, row.bytes), (row.histogram,)
            self._moments.setdefault(row.at, Total()).add(sums, stored)
            self._tools.setdefault((row.server, row.tool), Total()).add(sums, stored)
        self._before, self._servers = Total(), set[str]()
        for row in before:
            self._before.add((row.events, row.requests, row.errors, row.bytes), (row.histogram,))
            self._servers.add(row.server)

    def moments(self) -> Iterable[tuple[datetime, Total]]:
        return self._moments.items()

    def tools(self) -> dict[Key, Total]:
        for total in self._tools.values():
            middle = total.histogram.quantile(0.5)
            total.mean_ms = middle or 0.0  # stands in for it: the minutes have no sum of durations
        return self._tools

    def add_durations(self, totals: dict[Key, Total], keys: Collection[Key]) -> None:
        """They are there."""

    def server_durations(self, totals: dict[Key, Total], names: Collection[str]) -> dict[str, Histogram]:
        found = {name: Histogram() for name in names}
        for (server, _), total in totals.items():
            if server in found:
                found[server] += total.histogram
        return found

    def before(self) -> tuple[Total, int]:
        return self._before, len(self._servers)


class FromRollups:
    """`course` holds the steps; `parts` together the same time in fewer rows, where there are such; so `before`."""

    def __init__(
        self, course: QuerySet[Rollup], parts: Sequence[QuerySet[Rollup]], before: Sequence[QuerySet[Rollup]]
    ) -> None:
        self._course, self._parts, self._before = course, parts, before

    def moments(self) -> Iterable[tuple[datetime, Total]]:
        return [(row[0], _total(row[1:])) for row in _joined(self._course, "at")]

    def tools(self) -> dict[Key, Total]:
        found: dict[Key, Total] = {}
        timed: dict[Key, list[float]] = {}
        for part in self._parts:
            for server, tool, *row in _summed(part, "server", "tool", names=(*_SUMS, *_MEAN)):
                key = server, tool
                found.setdefault(key, Total()).add(row)
                sums = timed.setdefault(key, [0, 0.0])
                sums[0] += row[4]
                sums[1] += row[5]
        for key, (count, milliseconds) in timed.items():
            found[key].mean_ms = milliseconds / count if count else 0.0
        return found

    def add_durations(self, totals: dict[Key, Total], keys: Collection[Key]) -> None:
        near = {"server__in": {key[0] for key in keys}, "tool__in": {key[1] for key in keys}}
        wanted = set(keys)
        for part in self._parts:
            rows = part.filter(**near).values_list("server", "tool").annotate(histograms=Joined("histogram")).order_by()
            for server, tool, stored in rows:
                if (server, tool) in wanted:
                    totals[server, tool].histogram.merge(stored)

    def server_durations(self, totals: dict[Key, Total], names: Collection[str]) -> dict[str, Histogram]:  # noqa: ARG002
        found = {name: Histogram() for name in names}
        for part in self._parts:
            rows = (
                part.filter(server__in=names).values_list("server").annotate(histograms=Joined("histogram")).order_by()
            )
            for server, stored in rows:
                found[server].merge(stored)
        return found

    def before(self) -> tuple[Total, int]:
        total, servers = Total(), set[str]()
        for part in self._before:
            for server, *row in _joined(part, "server"):
                total.add(row[:4], row[4:])
                servers.add(server)
        return total, len(servers)


def _summed(rows: QuerySet[Rollup], *keys: str, names: Iterable[str]) -> QuerySet[Rollup, tuple[Any, ...]]:
    """The sums of each group. Not named as their columns: a filter after it would mean the sums."""
    sums = {f"sum_{name}": Sum(name) if name == "duration_ms" else whole_sum(name) for name in names}
    return rows.values_list(*keys).annotate(**sums).order_by()


def _joined(rows: QuerySet[Rollup], *keys: str) -> QuerySet[Rollup, tuple[Any, ...]]:
    return _summed(rows, *keys, names=_SUMS).annotate(histograms=Joined("histogram"))


def _total(row: Sequence[Any]) -> Total:
    total = Total()
    total.add(row[:4], row[4:])
    return total
