"""Percentiles within 2 %, from counts that merge by addition and survive their bytes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.histogram import LONGEST_MS, SHORTEST_MS, Histogram, bucket_of

durations = st.floats(SHORTEST_MS, LONGEST_MS)


def of(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@given(st.lists(durations, min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_within_two_percent(values: list[float], share: float) -> None:
    exact = sorted(values)[math.floor(share * (len(values) - 1))]
    found = of(values).quantile(share)
    assert found is not None
    assert abs(found - exact) <= exact * 0.0201


@given(st.lists(durations, max_size=50), st.lists(durations, max_size=50))
def test_merging_is_addition_in_any_order(left: list[float], right: list[float]) -> None:
    assert of(left) + of(right) == of(right) + of(left) == of(left + right)


@given(st.lists(durations, max_size=200))
def test_bytes_come_back_as_they_were(values: list[float]) -> None:
    assert Histogram.decode(of(values).encode()) == of(values)


@given(st.lists(durations, min_size=1, max_size=200), st.lists(st.floats(0, 1), max_size=5))
def test_quantiles_all_at_once_are_those_one_by_one(values: list[float], shares: list[float]) -> None:
    merged = Histogram()
    merged.merge(of(values).encode())
    assert merged.quantiles(*sorted(shares)) == [of(values).quantile(share) for share in sorted(shares)]


def test_nothing_has_no_quantile() -> None:
    assert Histogram().quantile(0.5) is None
    assert Histogram.decode(b"") == Histogram()


@pytest.mark.parametrize("absurd", [0.0, 1e-12, 1e300])
def test_an_absurd_duration_is_counted_at_the_edge(absurd: float) -> None:
    assert bucket_of(absurd) in {bucket_of(SHORTEST_MS), bucket_of(LONGEST_MS)}
