"""What a customer's overview shows of a time: sums, percentiles, a chart's points, tools and servers, and the same sums
of the time before.

    shown = overview(7, RANGES["24h"], at=moment)
    shown.figures.requests, shown.before.requests         → 1204, 980
    [(point.at, point.requests, point.p95_ms) for point in shown.points]      24 of them, an hour each

Hours and days come from the rollups. An hour's rollup says nothing of its minutes, so the shortest range is counted
from the events themselves, the newest `MAX_COUNTED` of them: `counted_since` says from when on, where that is later
than the range begins. The last step of a range is going on; the time before is cut at the same place, to the minute or
the hour. The number of queries depends on the range alone. Where the rows come from: `events.overview_rows`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet

from events import stores
from events.models import DailyRollup, HourlyRollup, Rollup
from events.overview_rows import TOP, FromMinutes, FromRollups, Source, Total

MAX_COUNTED = 20_000  # events of two hours: 50 ms, half of them PostgreSQL's
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
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


def overview(customer_id: int, asked: Range, *, at: datetime) -> Overview:
    """The range `asked` as it stands at `at`."""
    since, grain = asked.begins(at), _MINUTE if asked.step < _HOUR else _HOUR
    cut = _floor(at, grain) + grain - asked.length
    source, counted_since = _source(customer_id, asked, since, cut)
    points = {since + asked.step * number: Total() for number in range(asked.steps)}
    for moment, sums, histograms in source.moments():
        points[_floor(moment, asked.step)].add(sums, histograms)
    standing, (before, servers_before) = source.standing(), source.before()
    return Overview(
        since=since,
        figures=_figures(points.values(), standing.servers),
        before=_figures([before], servers_before),
        points=[_point(moment, total) for moment, total in points.items()],
        slowest=_slowest(_ranked(*key, total) for key, total in standing.slow.items()),
        failing=[_ranked(*key, total) for key, total in standing.failing.items()],
        busiest=[_ranked(name, "", total) for name, total in standing.busiest.items()],
        counted_since=counted_since,
    )


def has_any(customer_id: int) -> bool:
    """Whether anything was ever recorded, and is kept."""
    return DailyRollup.objects.filter(customer_id=customer_id).exists()


def server_names(customer_id: int, *, since: datetime, most: int) -> list[str]:
    """Servers heard of since the day `since` lies in, by name, for a list to choose from."""
    found = DailyRollup.objects.filter(customer_id=customer_id, at__gte=_floor(since, _DAY)).exclude(server="")
    return list(found.order_by("server").values_list("server", flat=True).distinct()[:most])


def _source(customer_id: int, asked: Range, since: datetime, cut: datetime) -> tuple[Source, datetime | None]:
    """The range, and the time before it up to `cut`; from when on the range is counted, if not from `since`."""
    first, end = since - asked.length, since + asked.length
    if asked.step < _HOUR:
        return _minutes(customer_id, first, since, cut, end)
    hours = HourlyRollup.objects.filter(customer_id=customer_id)
    days = DailyRollup.objects.filter(customer_id=customer_id)
    range_of_hours, range_of_days = (rows.filter(at__gte=since, at__lt=end) for rows in (hours, days))
    if asked.step >= _DAY:
        return FromRollups(range_of_days, [range_of_days], _parts(customer_id, first, min(cut, since))), None
    if asked.length <= _DAY:
        before = hours.filter(at__gte=first, at__lt=min(cut, since))
        return FromRollups(range_of_hours, [range_of_hours], [before]), None
    parts = _parts(customer_id, since, end)
    return FromRollups(range_of_hours, parts, _parts(customer_id, first, min(cut, since))), None


def _minutes(
    customer_id: int, first: datetime, since: datetime, cut: datetime, end: datetime
) -> tuple[Source, datetime | None]:
    rows = stores.current().minutes(customer_id, since=first, until=end, most=MAX_COUNTED)
    within = [row for row in rows if row.at >= since]
    if sum(row.events for row in rows) < MAX_COUNTED:
        return FromMinutes(within, [row for row in rows if row.at < min(cut, since)]), None
    oldest = min(row.at for row in rows)  # nothing can be said of the time before
    return FromMinutes(within, []), oldest if oldest > since else None


def _parts(customer_id: int, since: datetime, until: datetime) -> list[QuerySet[Rollup]]:
    """Whole hours from `since` to `until`: days where a whole one fits, hours at both ends."""
    first_day, last_day = _floor(since + _DAY - _HOUR, _DAY), _floor(until, _DAY)
    edges = Q(at__gte=since, at__lt=first_day) | Q(at__gte=last_day, at__lt=until)
    hours = HourlyRollup.objects.filter(edges, customer_id=customer_id)
    days = DailyRollup.objects.filter(customer_id=customer_id, at__gte=first_day, at__lt=last_day)
    return [days, hours]


def _figures(parts: Iterable[Total], servers: int) -> Figures:
    total = Total()
    for part in parts:
        total += part
    return Figures(total.events, total.requests, total.errors, total.bytes, servers, *total.percentiles())


def _point(at: datetime, total: Total) -> Point:
    return Point(at, total.requests, total.errors, *total.percentiles()[:2])


def _ranked(server: str, tool: str, total: Total) -> Ranked:
    return Ranked(server, tool, total.events, total.requests, total.errors, *total.percentiles()[:2])


def _slowest(rows: Iterable[Ranked]) -> list[Ranked]:
    """The `TOP` rows of the highest p95, of those that were timed."""
    timed = [(-row.p95_ms, row.server, row.tool, row) for row in rows if row.p95_ms]
    return [row for *_, row in sorted(timed, key=lambda each: each[:3])[:TOP]]


def _floor(moment: datetime, step: timedelta) -> datetime:
    """The beginning of the step `moment` lies in, counted from midnight, UTC."""
    return moment - (moment - _EPOCH) % step
