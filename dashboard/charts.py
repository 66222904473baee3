"""Charts as SVG that the server draws: nothing moves while it loads, nothing needs a script, the theme is the page's.

    chart = traffic(points, step)          bars of requests, with the errors among them in front
    chart = latency(points, step)          lines of p50 and p95, broken where nothing was timed

A drawing is `WIDTH` by `HEIGHT` and stretched to its box, so it holds no text: what its axes say are words beside it,
and a table under it says all of it once more. `words` of a column is what one reads while pointing at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard import chart_axes
from dashboard.chart_axes import Line, Word
from dashboard.templatetags.units import count, duration
from events.overview_queries import Point

WIDTH, HEIGHT = 1000, 100
GAP = 0.25  # of a column is left between two bars
LEAST_HEIGHT = 1.5  # of a bar that is not nothing: a few errors among thousands of requests are seen
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle that stands on the ground."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """One step: where to point at, what one then reads, and its row of the table."""

    x: float
    width: float
    words: str
    at: datetime
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One colour: either bars, or a line and the dots of steps that stand alone (SVG paths)."""

    name: str
    tone: str
    bars: tuple[Bar, ...] = ()
    line: str = ""
    dots: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """`lines` are across the drawing, `ticks` under it, each with its word."""

    series: tuple[Series, ...]
    columns: tuple[Column, ...]
    heads: tuple[str, ...]
    lines: tuple[Line, ...]
    ticks: tuple[Word, ...]
    is_empty: bool


def traffic(points: Sequence[Point], step: timedelta) -> Chart:
    """How much was asked, and how much of it failed."""
    axis = chart_axes.of_counts(max(max(point.requests, point.errors) for point in points))
    asked = _bars([point.requests for point in points], axis.top)
    failed = _bars([point.errors for point in points], axis.top)
    return Chart(
        series=(Series("Requests", "accent", bars=asked), Series("Errors", "bad", bars=failed)),
        columns=_columns(points, step, lambda point: (count(point.requests), count(point.errors)), _traffic_words),
        heads=("Requests", "Errors"),
        lines=axis.lines,
        ticks=_ticks(points, step),
        is_empty=not (asked or failed),
    )


def latency(points: Sequence[Point], step: timedelta) -> Chart:
    """How long answers took: half of them at most p50, nineteen of twenty at most p95."""
    axis = chart_axes.of_durations(max((point.p95_ms or 0 for point in points), default=0))
    high = _line("p95", "back", [point.p95_ms for point in points], axis.top)
    return Chart(
        series=(high, _line("p50", "accent", [point.p50_ms for point in points], axis.top)),
        columns=_columns(points, step, lambda point: (duration(point.p50_ms), duration(point.p95_ms)), _latency_words),
        heads=("p50", "p95"),
        lines=axis.lines,
        ticks=_ticks(points, step),
        is_empty=not (high.line or high.dots),
    )


def moment_words(at: datetime, step: timedelta) -> str:
    """A step's beginning: as short as its length allows, in UTC."""
    if step >= _DAY:
        return f"{at:%-d %b}"
    return f"{at:%-d %b, %H:%M}" if step > timedelta(hours=1) else f"{at:%H:%M}"


def _bars(values: Sequence[int], top: float) -> tuple[Bar, ...]:
    wide = WIDTH / len(values)
    found = []
    for number, value in enumerate(values):
        if value:
            height = round(max(LEAST_HEIGHT, HEIGHT * value / top), 2)
            place = round(wide * (number + GAP / 2), 2)
            found.append(Bar(place, round(HEIGHT - height, 2), round(wide * (1 - GAP), 2), height))
    return tuple(found)


def _line(name: str, tone: str, values: Sequence[float | None], top: float) -> Series:
    """Through the middle of each step; what has no neighbour would be no line, and is a dot."""
    wide, places = WIDTH / len(values), [None if value is None else HEIGHT * (1 - value / top) for value in values]
    line, dots = [], []
    for number, place in enumerate(places):
        if place is None:
            continue
        follows = number > 0 and places[number - 1] is not None
        leads = number + 1 < len(places) and places[number + 1] is not None
        at = f"{wide * (number + 0.5):.1f} {place:.2f}"
        if follows or leads:
            line.append(f"{'L' if follows else 'M'}{at}")
        else:
            dots.append(f"M{at}h.01")
    return Series(name, tone, line="".join(line), dots="".join(dots))


def _columns(
    points: Iterable[Point],
    step: timedelta,
    cells: Callable[[Point], tuple[str, ...]],
    words: Callable[[Point], str],
) -> tuple[Column, ...]:
    points = list(points)
    wide = WIDTH / len(points)
    return tuple(
        Column(
            round(wide * number, 2),
            round(wide, 2),
            f"{moment_words(point.at, step)} UTC: {words(point)}",
            point.at,
            (moment_words(point.at, step), *cells(point)),
        )
        for number, point in enumerate(points)
    )


def _traffic_words(point: Point) -> str:
    return f"{_many(point.requests, 'request')}, {_many(point.errors, 'error')}"


def _many(number: int, what: str) -> str:
    return f"{count(number)} {what}{'' if number == 1 else 's'}"


def _latency_words(point: Point) -> str:
    if point.p50_ms is None:
        return "nothing timed"
    return f"p50 {duration(point.p50_ms)}, p95 {duration(point.p95_ms)}"


def _ticks(points: Sequence[Point], step: timedelta) -> tuple[Word, ...]:
    return chart_axes.moments([point.at for point in points], lambda at: _tick_words(at, step))


def _tick_words(at: datetime, step: timedelta) -> str:
    """The day where a day begins in a chart of many: `18 Nov`; else the time."""
    return f"{at:%H:%M}" if step <= timedelta(hours=1) else f"{at:%-d %b}"
