"""Whether a rule holds: pure functions over plain rows and a moment.

    watch = Watch("errors", server="git", threshold=5.0, window=timedelta(minutes=15), at_least=20)
    read = error_rate(watch, rows)                     → Reading(value=12.5, counted=840)
    decide(watch, Standing(), read, at=moment)         → Step.OPEN

A rule that held ends only after `CALM_FOR` of readings below `CALM_SHARE` of its threshold, and a new incident waits
for the rule's cool-down: what swings around the threshold is one incident. What nothing can be said of (too few
requests, quiet hours) opens nothing, and is calm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from alerts.kinds import period
from events.histogram import Histogram
from events.rows import Measure

CALM_SHARE = 0.9
CALM_FOR = timedelta(minutes=5)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Watch:
    """What a rule asks. A blank `server`, `method` or `tool` is any. `quiet` are hours of the day in UTC: (22, 6) is
    from 22:00 until 06:00."""

    kind: str
    server: str = ""
    method: str = ""
    tool: str = ""
    threshold: float = 0.0
    window: timedelta = timedelta()
    at_least: int = 1
    quiet: tuple[int, int] | None = None
    cooldown: timedelta = timedelta()

    def sees(self, server: str, method: str, tool: str) -> bool:
        """Whether the scope includes these."""
        return self.server in ("", server) and self.method in ("", method) and self.tool in ("", tool)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured, in the kind's unit: `None` when nothing can be said. `counted` says of how many."""

    value: float | None = None
    counted: int = 0


NOTHING = Reading()


@dataclass(frozen=True, slots=True)
class Standing:
    """How a rule stands: the open incident's moments, and when the last one before it ended."""

    opened_at: datetime | None = None
    calm_since: datetime | None = None
    resolved_at: datetime | None = None


class Step(Enum):
    """What a reading changes."""

    NONE = auto()
    OPEN = auto()
    HOLD = auto()  # open, and not calm
    CALM = auto()  # open, and calm for the first time
    RESOLVE = auto()


def decide(watch: Watch, standing: Standing, reading: Reading, *, at: datetime) -> Step:
    """What follows from `reading` at `at`."""
    if standing.opened_at is None:
        rested = standing.resolved_at is None or at - standing.resolved_at >= watch.cooldown
        return Step.OPEN if rested and holds(watch, reading) else Step.NONE
    if reading.value is not None and reading.value >= watch.threshold * CALM_SHARE:
        return Step.HOLD
    if standing.calm_since is None:
        return Step.CALM
    return Step.RESOLVE if at - standing.calm_since >= CALM_FOR else Step.NONE


def holds(watch: Watch, reading: Reading) -> bool:
    """Whether the threshold is reached."""
    return reading.value is not None and reading.value >= watch.threshold


def error_rate(watch: Watch, rows: Iterable[Measure]) -> Reading:
    """Failed requests in per cent. An answer whose request lies before the window counts as one."""
    seen = [row for row in rows if watch.sees(row.server, row.method, row.tool)]
    errors = sum(row.errors for row in seen)
    requests = max(sum(row.requests for row in seen), errors)
    if not requests or requests < watch.at_least:
        return Reading(None, requests)
    return Reading(100 * errors / requests, requests)


def latency(watch: Watch, rows: Iterable[Measure]) -> Reading:
    """The 95th percentile of durations in ms, within 2 %."""
    merged = Histogram()
    for row in rows:
        if watch.sees(row.server, row.method, row.tool):
            merged.merge(row.histogram)
    counted = merged.total
    return Reading(merged.quantile(0.95) if counted >= watch.at_least else None, counted)


def silence(watch: Watch, heard_at: datetime | None, *, at: datetime) -> Reading:
    """Minutes since something was heard, those of quiet hours just over not counted."""
    if heard_at is None or is_quiet(watch.quiet, at):
        return NOTHING
    since = max(heard_at, quiet_ended(watch.quiet, at) or heard_at)
    return Reading(max(0.0, (at - since) / timedelta(minutes=1)))


def quota(used: int, limit: int | None) -> Reading:
    """The share of the day's quota that is used, in per cent."""
    return Reading(100 * used / limit, used) if limit else NOTHING


def is_quiet(quiet: tuple[int, int] | None, at: datetime) -> bool:
    """Whether `at` lies in the quiet hours."""
    if quiet is None:
        return False
    begin, end = quiet
    hour = at.astimezone(UTC).hour
    return begin <= hour < end if begin < end else hour >= begin or hour < end


def quiet_ended(quiet: tuple[int, int] | None, at: datetime) -> datetime | None:
    """When the quiet hours before `at` ended."""
    if quiet is None:
        return None
    end = at.astimezone(UTC).replace(hour=quiet[1], minute=0, second=0, microsecond=0)
    return end if end <= at else end - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Episode:
    """One incident there would have been. `resolved_at` is `None` when it would be open still."""

    opened_at: datetime
    value: float
    resolved_at: datetime | None = None


def replay(watch: Watch, read: Callable[[datetime], Reading], *, since: datetime, until: datetime) -> Iterator[Episode]:
    """The incidents of a time gone by, with `read(at)` measuring as it would have been measured at `at`."""
    step, at = period(watch.kind, watch.window), since
    standing, value = Standing(), 0.0
    while at <= until:
        reading = read(at)
        match decide(watch, standing, reading, at=at):
            case Step.OPEN:
                standing, value = Standing(opened_at=at), reading.value or 0.0
            case Step.HOLD:
                standing = Standing(opened_at=standing.opened_at)
            case Step.CALM:
                standing = Standing(standing.opened_at, calm_since=at)
            case Step.RESOLVE:
                assert standing.opened_at is not None  # only what is open resolves
                yield Episode(standing.opened_at, value, at)
                standing = Standing(resolved_at=at)
            case Step.NONE:
                pass
        at += step
    if standing.opened_at is not None:
        yield Episode(standing.opened_at, value)
