"""What was measured of each contender of `relay`, and the figures made of it.

Comparisons are made round by round, because what disturbs a round disturbs all contenders in it; of the comparisons
the median is told. What a contender that failed had shown before is told too, beside its error.
"""

from __future__ import annotations

import math
import operator
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

TARGETS = {"added_ratio_to_tee": 2.0, "large_ratio_to_direct": 1.5, "start_ms": 60.0, "memory_mb": 16.0}


@dataclass
class Contender:
    """One way to stand between (`command` goes before the server's), and what was measured of it."""

    name: str
    command: list[str]
    error: str = ""
    round_trips_us: list[list[float]] = field(default_factory=list)
    large_json_ms: list[float] = field(default_factory=list)
    large_bytes_ms: list[float] = field(default_factory=list)
    start_ms: list[float] = field(default_factory=list)
    memory_mb: float | None = None


def results(contenders: list[Contender]) -> dict[str, Any]:
    """Every contender's figures, and whether ours meet the targets."""
    direct, tee, ours, *peers = contenders
    figures = {contender.name: _figures(contender, direct, tee) for contender in contenders}
    met = {name: (figures[ours.name][name] or math.inf) <= limit for name, limit in TARGETS.items()}
    added = [figures[peer.name]["added_median_us"] or math.inf for peer in peers]
    met["added_median_below_every_peer"] = all(figures[ours.name]["added_median_us"] < other for other in added)
    return {"targets": TARGETS, "met": met, "contenders": figures}


def _figures(contender: Contender, direct: Contender, tee: Contender) -> dict[str, Any]:
    """What was measured before an error, if there was one, and the error."""
    added = _against(operator.sub, _medians(contender), _medians(direct))
    of_tee = _against(operator.sub, _medians(tee), _medians(direct))
    figures = {
        "median_us": _median(_medians(contender)),
        "added_median_us": added,
        "added_p99_us": _against(operator.sub, [_p99(contender.round_trips_us)], [_p99(direct.round_trips_us)]),
        "added_ratio_to_tee": added / of_tee if added is not None and of_tee else None,
        "large_json_ms": _median(contender.large_json_ms),
        "large_ratio_to_direct": _against(operator.truediv, contender.large_json_ms, direct.large_json_ms),
        "large_bytes_ms": _median(contender.large_bytes_ms),
        "large_bytes_ratio_to_direct": _against(operator.truediv, contender.large_bytes_ms, direct.large_bytes_ms),
        "start_ms": _median(contender.start_ms),
        "memory_mb": contender.memory_mb,
    }
    rounded = {name: None if figure is None else round(figure, 2) for name, figure in figures.items()}
    return rounded | ({"error": contender.error} if contender.error else {})


def _against(compare: Callable[[float, float], float], figures: list[float], others: list[float]) -> float | None:
    """The median over the rounds of one's figure compared with the other's of the same round."""
    return _median([compare(figure, other) for figure, other in zip(figures, others, strict=False)])


def _medians(contender: Contender) -> list[float]:
    return [statistics.median(trips) for trips in contender.round_trips_us]


def _median(figures: list[float]) -> float | None:
    return statistics.median(figures) if figures else None


def _p99(rounds: list[list[float]]) -> float:
    trips = sorted(trip for trips in rounds for trip in trips)
    return trips[len(trips) * 99 // 100] if trips else math.nan
