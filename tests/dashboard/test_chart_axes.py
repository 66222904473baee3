"""A chart's axes: round lines just above what is drawn, words at whole moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from dashboard.chart_axes import LINES, WORDS, moments, of_counts, of_durations

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("highest", "words"),
    [
        (0, ["1", "0"]),
        (1, ["1", "0"]),
        (3, ["3", "2", "1", "0"]),
        (7, ["8", "6", "4", "2", "0"]),
        (25, ["30", "20", "10", "0"]),
        (113, ["150", "100", "50", "0"]),
        (12_000, ["15 k", "10 k", "5,000", "0"]),
    ],
)
def test_counts_have_lines_at_whole_round_numbers(highest: int, words: list[str]) -> None:
    assert [line.words for line in of_counts(highest).lines] == words


@pytest.mark.parametrize(
    ("highest", "words"),
    [
        (0.0, ["1 ms", "0"]),
        (11.0, ["15 ms", "10 ms", "5 ms", "0"]),
        (5_070.0, ["6 s", "4 s", "2 s", "0"]),
        (110_000.0, ["2 min", "1 min 30 s", "1 min", "30 s", "0"]),
        (14 * 60_000.0, ["15 min", "10 min", "5 min", "0"]),
        (5 * 3_600_000.0, ["6 h", "4 h", "2 h", "0"]),
    ],
)
def test_durations_have_lines_that_a_clock_has(highest: float, words: list[str]) -> None:
    assert [line.words for line in of_durations(highest).lines] == words


@pytest.mark.parametrize("highest", [0.3, 1, 2, 9, 10, 11, 99, 1_234, 60_001, 3_599_999, 3_600_001, 9e9])
def test_nothing_is_drawn_above_the_top_and_little_is_left_empty(highest: float) -> None:
    for axis in (of_counts(highest), of_durations(highest)):
        assert axis.top >= highest * (1 - 1e-9)
        assert 2 <= len(axis.lines) <= LINES + 1
        assert (axis.lines[0].y, axis.lines[-1].y) == (0, 100)
        if highest > 1:
            assert axis.top * (len(axis.lines) - 2) / (len(axis.lines) - 1) < highest, "a line is above everything"


@pytest.mark.parametrize(
    ("step", "columns", "words"),
    [
        (timedelta(minutes=1), 60, ["11:10", "11:20", "11:30", "11:40", "11:50", "12:00"]),
        (timedelta(hours=1), 24, ["15:00", "18:00", "21:00", "00:00", "03:00", "06:00", "09:00", "12:00"]),
        (timedelta(days=1), 1, ["12:00"]),
    ],
)
def test_words_stand_at_whole_moments(step: timedelta, columns: int, words: list[str]) -> None:
    beginnings = [NOON - step * number for number in range(columns)][::-1]
    found = moments(beginnings, lambda at: f"{at:%H:%M}")
    assert [word.words for word in found] == words
    apart = {round(after.x - before.x, 1) for before, after in pairwise(found)}
    assert len(apart) <= 1


def test_thirty_days_are_marked_at_their_mondays() -> None:
    midnight = NOON.replace(hour=0)
    found = moments([midnight - timedelta(days=29 - number) for number in range(30)], lambda at: f"{at:%a %d}")
    assert [word.words for word in found] == ["Mon 26", "Mon 02", "Mon 09", "Mon 16"]
    assert len(found) <= WORDS
