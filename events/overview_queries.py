"""What a customer's overview shows of a time: sums, percentiles, a chart's points, tools and servers, and the same sums
of the time before.

    shown = overview(7, RANGES["24h"], at=moment)
    shown.figures.requests, shown.before.requests         → 1204, 980
    [(point.at, point.requests, point.p95_ms) for point in shown.points]      24 of them, an hour each

Hours and days come from the rollups. An hour's rollup says nothing of its minutes, so the shortest range is counted
from the events themselves, the newest `MAX_COUNTED` of them: `counted_since` says from when on, where that is later
than the range begins. The last step of a range is going on; the time before is cut at the same place, to the minute or
the hour. The number of queries depends on the range alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet

from events import stores
from events.histogram import Histogram
from events.models import DailyRollup, HourlyRollup, Rollup
from events.rows import Measure

MAX_COUNTED = 50_000  # events of two hours: 0.1 s of PostgreSQL
TOP = 5  # tools and servers of each list
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_COLUMNS = ("at", "server", "method", "tool", "events", "requests", "errors", "bytes", "histogram")
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Range:
    """A time up to now, in `steps` of `step`."""

    name: str
    words: str
    step: timedelta
    steps: int

    @property
    def length(self) -> timedelta:
        return self.step * self.steps

    def begins(self, at: datetime) -> datetime:
        """The beginning of the first step, when the last one holds `at`."""
        return _floor(at, self.step) - self.step * (self.steps - 1)


RANGES = {
    each.name: each
    for each in (
        Range("1h", "last hour", _MINUTE, 60),
        Range("24h", "last 24 hours", _HOUR, 24),
        Range("7d", "last 7 days", 6 * _HOUR, 28),
        Range("30d", "last 30 days", _DAY, 30),
    )
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over a time; percentiles in ms, `None` when nothing was timed. `servers` were heard of."""

    events: int
    requests: int
    errors: int
    bytes: int
    servers: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a chart."""

    at: datetime
    requests: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """One tool of a server, or (`tool` blank) one server."""

    server: str
    tool: str
    events: int
    requests: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Overview:
    """`before` is of as long a time before; `counted_since` is set where the figures begin later than `since`."""

    since: datetime
    figures: Figures
    before: Figures
    points: list[Point]
    slowest: list[Ranked]
    failing: list[Ranked]
    busiest: list[Ranked]
    counted_since: datetime | None


@dataclass(slots=True)
class _Sum:
    events: int = 0
    requests: int = 0
    errors: int = 0
    bytes: int = 0
    histogram: Histogram = field(default_factory=Histogram)

    def add(self, row: Measure) -> None:
        self.events += row.events
        self.requests += row.requests
        self.errors += row.errors
        self.bytes += row.bytes
        self.histogram.merge(row.histogram)

    def __iadd__(self, other: _Sum) -> _Sum:
        self.events += other.events
        self.requests += other.requests
        self.errors += other.errors
        self.bytes += other.bytes
        self.histogram += other.histogram
        return self

    def percentiles(self) -> list[float | None]:
        """The 50th, 95th and 99th, in ms."""
        return [*self.histogram.quantiles(0.5, 0.95, 0.99)] or [None, None, None]


def overview(customer_id: int, asked: Range, *, at: datetime) -> Overview:
    """The range `asked` as it stands at `at`."""
    since, grain = asked.begins(at), _MINUTE if asked.step < _HOUR else _HOUR
    cut = _floor(at, grain) + grain - asked.length
    rows, before, counted_since = _read(customer_id, asked, since, cut)
    points = {since + asked.step * number: _Sum() for number in range(asked.steps)}
    tools: dict[tuple[str, str], _Sum] = {}
    for row in rows:
        points[_floor(row.at, asked.step)].add(row)
        tools.setdefault((row.server, row.tool), _Sum()).add(row)
    called = [_ranked(*key, total) for key, total in tools.items() if key[1]]
    return Overview(
        since=since,
        figures=_figures(points.values(), len({server for server, _ in tools})),
        before=_figures_of_rows(before),
        points=[_point(moment, total) for moment, total in points.items()],
        slowest=_top(called, lambda tool: tool.p95_ms or 0),
        failing=_top(called, lambda tool: tool.errors),
        busiest=_top(_servers(tools), lambda server: server.events),
        counted_since=counted_since,
    )


def has_any(customer_id: int) -> bool:
    """Whether anything was ever recorded, and is kept."""
    return DailyRollup.objects.filter(customer_id=customer_id).exists()


def server_names(customer_id: int, *, since: datetime, most: int) -> list[str]:
    """Servers heard of since the day `since` lies in, by name, for a list to choose from."""
    found = DailyRollup.objects.filter(customer_id=customer_id, at__gte=_floor(since, _DAY)).exclude(server="")
    return list(found.order_by("server").values_list("server", flat=True).distinct()[:most])


Read = tuple[list[Measure], list[Measure], datetime | None]


def _read(customer_id: int, asked: Range, since: datetime, cut: datetime) -> Read:
    """The rows of the range; those of the time before it, up to `cut`; from when on they are, if not from `since`."""
    first, end = since - asked.length, since + asked.length
    if asked.step < _HOUR:
        return _minutes(customer_id, first, since, cut, end)
    if asked.length <= _DAY:
        both = list(_rows(HourlyRollup.objects.filter(customer_id=customer_id, at__gte=first, at__lt=end)))
        return [row for row in both if row.at >= since], [row for row in both if row.at < cut and row.at < since], None
    model: type[Rollup] = DailyRollup if asked.step >= _DAY else HourlyRollup
    rows = _rows(model._default_manager.filter(customer_id=customer_id, at__gte=since, at__lt=end))
    return list(rows), _days_and_edges(customer_id, first, min(cut, since)), None


def _minutes(customer_id: int, first: datetime, since: datetime, cut: datetime, end: datetime) -> Read:
    rows = stores.current().minutes(customer_id, since=first, until=end, most=MAX_COUNTED)
    if sum(row.events for row in rows) < MAX_COUNTED:
        return [row for row in rows if row.at >= since], [row for row in rows if row.at < min(cut, since)], None
    oldest = min(row.at for row in rows)  # nothing can be said of the time before
    return [row for row in rows if row.at >= since], [], oldest if oldest > since else None


def _days_and_edges(customer_id: int, since: datetime, until: datetime) -> list[Measure]:
    """Whole hours from `since` to `until`: days where a whole one fits, hours at both ends."""
    first_day, last_day = _floor(since + _DAY - _HOUR, _DAY), _floor(until, _DAY)
    edges = Q(at__gte=since, at__lt=first_day) | Q(at__gte=last_day, at__lt=until)
    hours = HourlyRollup.objects.filter(edges, customer_id=customer_id)
    days = DailyRollup.objects.filter(customer_id=customer_id, at__gte=first_day, at__lt=last_day)
    return [*_rows(days), *_rows(hours)]


def _rows(found: QuerySet[Rollup]) -> Iterator[Measure]:
    return (Measure(*row) for row in found.values_list(*_COLUMNS))


def _figures_of_rows(rows: Iterable[Measure]) -> Figures:
    total, servers = _Sum(), set[str]()
    for row in rows:
        total.add(row)
        servers.add(row.server)
    return _figures([total], len(servers))


def _figures(parts: Iterable[_Sum], servers: int) -> Figures:
    total = _Sum()
    for part in parts:
        total += part
    return Figures(total.events, total.requests, total.errors, total.bytes, servers, *total.percentiles())


def _point(at: datetime, total: _Sum) -> Point:
    return Point(at, total.requests, total.errors, *total.percentiles()[:2])


def _ranked(server: str, tool: str, total: _Sum) -> Ranked:
    return Ranked(server, tool, total.events, total.requests, total.errors, *total.percentiles()[:2])


def _servers(tools: dict[tuple[str, str], _Sum]) -> list[Ranked]:
    servers: dict[str, _Sum] = {}
    for (server, _), total in tools.items():
        servers.setdefault(server, _Sum()).__iadd__(total)
    return [_ranked(server, "", total) for server, total in servers.items()]


def _top(rows: Iterable[Ranked], worth: Callable[[Ranked], float]) -> list[Ranked]:
    """The `TOP` rows worth most; those worth nothing are not among them."""
    return sorted(filter(worth, rows), key=lambda row: (-worth(row), row.server, row.tool))[:TOP]


def _floor(moment: datetime, step: timedelta) -> datetime:
    """The beginning of the step `moment` lies in, counted from midnight, UTC."""
    return moment - (moment - _EPOCH) % step
