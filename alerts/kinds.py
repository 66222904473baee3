"""The kinds of rules there are: the unit and bounds of each one's threshold, the windows it may look at, and what a new
one begins with. A pure table.

    KINDS["errors"].unit, KINDS["errors"].threshold        → "%", 5.0
    period(Scope("latency", window=timedelta(minutes=15))) → every three minutes
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from alerts.models import Kind

MINUTE, HOUR, DAY = 1, 60, 24 * 60
_COUNTED = (5, 10, 15, 30, HOUR, 6 * HOUR, DAY)
LONGEST_BY_MINUTE = timedelta(hours=1)
"""A longer window is counted from hourly rollups, and so begins with a whole hour"""


@dataclass(frozen=True, slots=True)
class KindFacts:
    """`threshold`, `window` (minutes) and `at_least` are the defaults. A kind without `windows` has no choice of one;
    one that `has_traffic` may be narrowed to a method."""

    label: str
    question: str
    unit: str
    threshold: float
    lowest: float
    highest: float
    window: int
    windows: tuple[int, ...] = ()
    at_least: int = 1
    has_scope: bool = True
    has_traffic: bool = True


KINDS: Mapping[str, KindFacts] = {
    Kind.ERRORS: KindFacts(
        "Error rate", "Too many requests fail", "%", 5.0, 0.1, 100.0, 15, windows=_COUNTED, at_least=20
    ),
    Kind.LATENCY: KindFacts(
        "Latency", "Answers take too long (p95)", "ms", 2_000.0, 1.0, 3_600_000.0, 15, windows=_COUNTED, at_least=20
    ),
    Kind.DEFINITION: KindFacts(
        "Tool definition",
        "A tool appeared, or its definition changed",
        "changes",
        1.0,
        1.0,
        1_000.0,
        HOUR,
        has_traffic=False,
    ),
    Kind.QUOTA: KindFacts("Quota", "The day’s quota is nearly used", "%", 80.0, 1.0, 100.0, DAY, has_scope=False),
    Kind.SILENCE: KindFacts("Silence", "Nothing is heard", "minutes", 60.0, 5.0, 7.0 * DAY, DAY),
}

SHORTEST_PERIOD, LONGEST_PERIOD = timedelta(minutes=1), timedelta(minutes=10)
_PERIODS = {
    Kind.DEFINITION: timedelta(minutes=1),  # who is told late was attacked meanwhile
    Kind.QUOTA: timedelta(minutes=5),
    Kind.SILENCE: timedelta(minutes=1),
}


def period(kind: str, window: timedelta) -> timedelta:
    """How often such a rule is looked at: five times in its window, within bounds."""
    return _PERIODS.get(Kind(kind)) or min(max(window / 5, SHORTEST_PERIOD), LONGEST_PERIOD)
