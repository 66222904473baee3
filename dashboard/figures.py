"""The numbers at the head of the overview, each with what it was in as long a time before.

    of(shown)   → [Figure("Requests", "1,204", was="980", change="+23 %"), …]

A change is coloured only where its direction is good or bad in itself: more errors and slower answers are bad, more
requests are neither. Below `QUIET` it is no change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dashboard.templatetags.units import brief, count, duration, share, size
from events.overview_queries import Figures, Overview

QUIET = 0.05  # a twentieth: days differ by as much when nothing is different
MOST_PERCENT = 999


@dataclass(frozen=True, slots=True)
class Figure:
    """`exact` is the number in full, where `value` is rounded; `tone` is `good`, `bad` or nothing."""

    label: str
    value: str
    was: str
    change: str
    tone: str = ""
    exact: str = ""
    is_bad: bool = False


def of(shown: Overview) -> list[Figure]:
    """Requests, errors, percentiles, bytes, servers."""
    now, before = shown.figures, shown.before
    compared = before if before.events else None
    return [
        _figure("Requests", now, compared, lambda each: each.requests, brief, exact=count(now.requests)),
        _error_rate(now, compared),
        _figure("Latency p50", now, compared, lambda each: each.p50_ms, duration, more_is="bad"),
        _figure("Latency p95", now, compared, lambda each: each.p95_ms, duration, more_is="bad"),
        _figure("Latency p99", now, compared, lambda each: each.p99_ms, duration, more_is="bad"),
        _figure("Data", now, compared, lambda each: each.bytes, size, exact=f"{count(now.bytes)} B"),
        _figure("Active servers", now, compared, lambda each: each.servers, count),
    ]


def _figure(
    label: str,
    now: Figures,
    before: Figures | None,
    value: Callable[[Figures], Any],
    words: Callable[[Any], str],
    **more: str,
) -> Figure:
    new, old = value(now), None if before is None else value(before)
    if old is None:
        return Figure(label, words(new), "", "", exact=more.get("exact", ""))
    change, tone = _change(new, old, more.get("more_is", ""))
    return Figure(label, words(new), words(old), change, tone, more.get("exact", ""))


def _change(new: float | None, old: float, more_is: str) -> tuple[str, str]:
    """`+23 %` and its tone; nothing where there is nothing to compare."""
    if new is None or not old or new == old:
        return "", ""
    part = new / old - 1
    percent = round(100 * part)
    words = f"{'+' if part > 0 else '−'}{min(abs(percent), MOST_PERCENT)}{'+' if percent > MOST_PERCENT else ''} %"
    if not percent:
        return "", ""
    if not more_is or abs(part) < QUIET:
        return words, ""
    return words, more_is if part > 0 else "good"


def _error_rate(now: Figures, before: Figures | None) -> Figure:
    """Errors by requests; its change is a difference of two per cents, so it is told in points."""
    value, exact = share(now.errors, now.requests), f"{count(now.errors)} of {count(now.requests)} requests"
    if before is None:
        return Figure("Error rate", value, "", "", exact=exact, is_bad=bool(now.errors))
    points = 100 * (_rate(now) - _rate(before))
    change = f"{'+' if points > 0 else '−'}{abs(points):.1f} points" if abs(points) >= 0.05 else ""
    tone = "" if not change else "bad" if points > 0 else "good"
    return Figure("Error rate", value, share(before.errors, before.requests), change, tone, exact, bool(now.errors))


def _rate(figures: Figures) -> float:
    return figures.errors / figures.requests if figures.requests else 0.0
