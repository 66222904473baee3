"""Numbers and moments read the way people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.templatetags import units

NOON = datetime(2026, 11, 22, 12, 0, 0, 123_456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_940, "99.9 kB"),
        (99_960, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (5_242_880, "5.2 MB"),
        (16 * 10**9, "16.0 GB"),
        (5 * 10**15, "5000 TB"),
        (None, "–"),
    ],
)
def test_sizes_have_a_unit_and_never_four_digits_before_it(value: int | None, text: str) -> None:
    assert units.size(value) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0.0 ms"),
        (3.25, "3.2 ms"),
        (9.96, "10 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (9_996, "10.0 s"),
        (59_400, "59.4 s"),
        (59_600, "1 min 00 s"),
        (83_000, "1 min 23 s"),
        (3_599_800, "1 h 00 min"),
        (7_500_000, "2 h 05 min"),
        (86_399_900, "1 d 0 h"),
        (3 * 86_400_000 + 4 * 3_600_000, "3 d 4 h"),
        (None, "–"),
    ],
)
def test_durations_change_unit_without_a_seam(milliseconds: float | None, text: str) -> None:
    assert units.duration(milliseconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (9_999, "9,999"), (12_345, "12.3 k"), (999_499, "999 k"), (999_500, "1 M"), (4_200_000_000, "4.2 G")],
)
def test_headline_counts_have_at_most_four_digits(value: int, text: str) -> None:
    assert units.brief(value) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "0 %"), (0, 10, "0 %"), (1, 10_000, "<0.1 %"), (1, 40, "2.5 %"), (4, 10, "40 %"), (30, 20, "150 %")],
)
def test_a_share_of_nothing_is_nothing_and_a_small_one_is_not_zero(part: int, whole: int, text: str) -> None:
    assert units.share(part, whole) == text


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (timedelta(milliseconds=4), "+0.004"),
        (timedelta(seconds=83, milliseconds=4), "+1:23.004"),
        (timedelta(hours=2, minutes=5, seconds=9), "+2:05:09"),
        (timedelta(milliseconds=-12), "−0.012"),
    ],
)
def test_offsets_count_from_the_start_of_the_session(after: timedelta, text: str) -> None:
    assert units.offset(NOON + after, NOON) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-30, "just now"),
        (4, "just now"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7200, "2 h ago"),
        (86_400, "1 d ago"),
        (8 * 86_400, "14 Nov 2026"),
    ],
)
def test_relative_times_round_down_and_end_in_a_date(seconds: int, text: str) -> None:
    assert units.ago(NOON - timedelta(seconds=seconds), NOON) == text


def test_a_moment_tells_programs_and_people_exactly_when() -> None:
    html = units.moment(NOON, NOON + timedelta(minutes=4))
    assert 'datetime="2026-11-22T12:00:00.123456+00:00"' in html
    assert 'title="22 Nov 2026, 12:00:00.123 UTC"' in html
    assert ">4 min ago<" in html
