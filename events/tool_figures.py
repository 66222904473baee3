"""How servers' tools did over a range, from the rollups: percentiles of those shown, one tool's course.

    percentiles(7, RANGES["24h"], [("git", "git_log")], at=moment)  → {("git", "git_log"): (11.8, 40.2)}
    course(7, RANGES["24h"], at=moment, server="git")               → figures of its tools, and a point for each step

The steps are those of `events.overview_queries`. A histogram, which only Python can merge, is read for the tools of one
page; what every tool was called is the database's to sum (`events.tool_table`). Ranges are of whole hours: an hour's
rollup says nothing of its minutes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet, Sum

from events.histogram import Histogram
from events.joined import Joined
from events.models import DailyRollup, HourlyRollup, Rollup
from events.overview_queries import RANGES, Point, Range

Key = tuple[str, str]
"""(server, tool)"""
TOOL_RANGES: Mapping[str, Range] = {name: each for name, each in RANGES.items() if each.step >= timedelta(hours=1)}
_DAY = timedelta(days=1)
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Course:
    """One tool, or all of a server's: sums, percentiles in ms, and each step."""

    calls: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    points: list[Point]


@dataclass(slots=True)
class _Step:
    requests: int = 0
    errors: int = 0
    histogram: Histogram = field(default_factory=Histogram)


def calls(customer_id: int, asked: Range, *, at: datetime) -> QuerySet[Rollup]:
    """The rollups of calls of tools: days where the steps are days, else hours."""
    model: type[Rollup] = DailyRollup if asked.step >= _DAY else HourlyRollup
    since = asked.begins(at)
    found = model._default_manager.filter(customer_id=customer_id, at__gte=since, at__lt=since + asked.length)
    return found.filter(~Q(tool=""))


def percentiles(customer_id: int, asked: Range, keys: Collection[Key], *, at: datetime) -> dict[Key, tuple[float, ...]]:
    """The 50th and 95th of each of `keys` that was timed, in ms."""
    wanted = set(keys)
    near = calls(customer_id, asked, at=at).filter(
        server__in={key[0] for key in wanted}, tool__in={key[1] for key in wanted}, timed__gt=0
    )
    merged: dict[Key, Histogram] = {}
    joined = near.values_list("server", "tool").annotate(histograms=Joined("histogram"))
    for server, tool, histograms in joined.order_by():
        if (server, tool) in wanted:
            merged.setdefault((server, tool), Histogram()).merge(histograms)
    return {key: tuple(histogram.quantiles(0.5, 0.95)) for key, histogram in merged.items()}


def course(customer_id: int, asked: Range, *, at: datetime, server: str, tool: str | None = None) -> Course:
    """What the range held, step by step."""
    since = asked.begins(at)
    steps = {since + asked.step * number: _Step() for number in range(asked.steps)}
    rows = calls(customer_id, asked, at=at).filter(server=server)
    rows = rows if tool is None else rows.filter(tool=tool)
    total = Histogram()
    sums = rows.values_list("at").annotate(Sum("requests"), Sum("errors"), histograms=Joined("histogram"))
    for moment, requests, errors, histogram in sums.order_by():
        step = steps[moment - (moment - _EPOCH) % asked.step]
        step.requests += requests
        step.errors += errors
        step.histogram.merge(histogram)
    for step in steps.values():
        total += step.histogram
    points = [
        Point(moment, step.requests, step.errors, *(step.histogram.quantiles(0.5, 0.95) or (None, None)))
        for moment, step in steps.items()
    ]
    counts = sum(step.requests for step in steps.values()), sum(step.errors for step in steps.values())
    return Course(*(*counts, *(total.quantiles(0.5, 0.95, 0.99) or (None, None, None)), points))


def has_any(customer_id: int, server: str, tool: str | None = None) -> bool:
    """Whether anything is kept of a server, or of calls of its tool."""
    found = DailyRollup.objects.filter(customer_id=customer_id, server=server)
    return (found if tool is None else found.filter(tool=tool)).exists()
