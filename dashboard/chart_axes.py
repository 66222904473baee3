"""What stands beside a chart: lines at round numbers, and moments at whole hours, days or weeks. Pure.

    of_counts(113)      Axis(top=150, lines: 150, 100, 50, 0)
    of_durations(5_070) Axis(top=6_000, lines: "6 s", "4 s", "2 s", "0")
    moments(beginnings) the columns with a word under them: 18:00, 21:00, 00:00, …

The highest value is never above the top, and always above the line below it: no space is wasted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dashboard.templatetags.units import brief, duration

LINES = 4  # above the ground, at most
WORDS = 8  # under a chart, at most
_ROUND = (1, 2, 2.5, 5, 10)
_SECOND, _MINUTE, _HOUR = 1_000.0, 60_000.0, 3_600_000.0
_OF_A_CLOCK = (1, 2, 5, 10, 15, 30)  # seconds of a minute, minutes of an hour
_MINUTES = (1, 2, 5, 10, 15, 30, 60, 2 * 60, 3 * 60, 6 * 60, 12 * 60)
_SPACES = (*(timedelta(minutes=each) for each in _MINUTES), *(timedelta(days=each) for each in (1, 7, 28)))
_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Line:
    """A line across the drawing. `y` is of 100, from above."""

    y: float
    words: str


@dataclass(frozen=True, slots=True)
class Axis:
    """`top` is what the upper edge stands for; `lines` from there to the ground."""

    top: float
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """A moment's word under the middle of its column. `x` is of 100, from the left."""

    x: float
    words: str


def of_counts(highest: float) -> Axis:
    """Lines at whole numbers."""
    return _axis(highest, max(1.0, _round(highest / LINES)), lambda value: brief(int(value)))


def of_durations(highest_ms: float) -> Axis:
    """Lines at round milliseconds and seconds; beyond a minute at what a clock shows."""
    return _axis(highest_ms, _step(highest_ms), _short)


def moments(beginnings: Sequence[datetime], words: Callable[[datetime], str]) -> tuple[Word, ...]:
    """The columns that begin with a whole hour, day or week, evenly apart; the first one where none does."""
    for space in _SPACES:
        found = [number for number, at in enumerate(beginnings) if not (at - _MONDAY) % space]
        if len(found) <= WORDS:
            break
    wide = 100 / len(beginnings)
    return tuple(Word(round((number + 0.5) * wide, 2), words(beginnings[number])) for number in found or [0])


def _axis(highest: float, step: float, words: Callable[[float], str]) -> Axis:
    count = max(1, math.ceil(highest / step - 1e-9))
    lines = tuple(
        Line(round(100 * (1 - number / count), 2), words(number * step) if number else "0")
        for number in range(count, -1, -1)
    )
    return Axis(count * step, lines)


def _round(least: float) -> float:
    """The lowest round number that is no lower than `least`; 2.5 is none where only whole numbers are."""
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(each * power for each in _ROUND if each * power >= least * (1 - 1e-9) and (each != 2.5 or power > 1))


def _step(highest_ms: float) -> float:
    """Beyond a minute and an hour, tens of seconds and of minutes are not what is round."""
    if highest_ms <= _MINUTE:
        return _round(highest_ms / LINES)
    for unit in (_SECOND, _MINUTE, _HOUR):
        for each in _OF_A_CLOCK:
            if each * unit * LINES >= highest_ms:
                return each * unit
    return _round(highest_ms / LINES / _HOUR) * _HOUR


def _short(milliseconds: float) -> str:
    """A duration without what is nothing: `6 s`, `2.5 s`, `3 min`, `1 h 30 min`."""
    text = re.sub(r"(\.\d*?)0+ ", r"\1 ", duration(milliseconds)).replace(". ", " ")
    return re.sub(r" 0?0 (s|min|h)$", "", text)
