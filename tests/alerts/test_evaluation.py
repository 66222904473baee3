"""Measuring and deciding, beside a model of a few lines that says the same in another way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts import evaluation
from alerts.evaluation import CALM_FOR, CALM_SHARE, Reading, Standing, Step, Watch, decide, replay
from alerts.kinds import KINDS, LONGEST_PERIOD, SHORTEST_PERIOD, period
from events.histogram import Histogram
from events.rows import Measure

AT = datetime(2026, 11, 22, 15, 40, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def row(
    requests: int, errors: int = 0, *, server: str = "git", tool: str = "log", times: tuple[float, ...] = ()
) -> Measure:
    counts = Histogram()
    for each in times:
        counts.add(each)
    return Measure(AT, server, "tools/call", tool, requests * 2, requests, errors, 0, counts.encode())


ROWS = st.lists(
    st.builds(
        row,
        st.integers(0, 50),
        st.integers(0, 50),
        server=st.sampled_from(["git", "files", ""]),
        tool=st.sampled_from(["log", "read"]),
        times=st.lists(st.floats(1, 10_000), max_size=5).map(tuple),
    ),
    max_size=12,
)
WATCHES = st.builds(
    Watch,
    st.just("errors"),
    server=st.sampled_from(["", "git", "nobody"]),
    tool=st.sampled_from(["", "log"]),
    at_least=st.integers(1, 40),
)


@given(WATCHES, ROWS)
def test_the_error_rate_is_that_of_the_rows_in_scope_once_there_are_enough(watch: Watch, rows: list[Measure]) -> None:
    mine = [each for each in rows if watch.server in ("", each.server) and watch.tool in ("", each.tool)]
    errors = sum(each.errors for each in mine)
    requests = max(errors, sum(each.requests for each in mine))
    expected = 100 * errors / requests if requests >= watch.at_least else None
    assert evaluation.error_rate(watch, rows) == Reading(expected, requests)
    assert expected is None or 0 <= expected <= 100


@given(WATCHES, ROWS.filter(bool), st.lists(st.lists(st.floats(1, 10_000), min_size=1, max_size=9), max_size=12))
def test_the_latency_is_the_95th_percentile_of_the_durations_in_scope(
    watch: Watch, rows: list[Measure], times: list[list[float]]
) -> None:
    timed = [
        row(1, server=each.server, tool=each.tool, times=tuple(own)) for each, own in zip(rows, times, strict=False)
    ]
    mine = [
        duration
        for each, own in zip(timed, times, strict=False)
        for duration in own
        if watch.sees(each.server, each.method, each.tool)
    ]
    reading = evaluation.latency(watch, timed)
    assert reading.counted == len(mine)
    if len(mine) < watch.at_least:
        assert reading.value is None
    else:
        assert reading.value == pytest.approx(sorted(mine)[int(0.95 * (len(mine) - 1))], rel=0.021)


class Model:
    """The rules of `decide`, as one would tell them: a list of minutes and what is open."""

    def __init__(self, watch: Watch) -> None:
        self.watch, self.calm, self.open, self.rest = watch, 0, False, 10**6

    def minute(self, value: float | None) -> str:
        self.rest += 1
        if not self.open:
            fires = value is not None and value >= self.watch.threshold and self.rest * MINUTE >= self.watch.cooldown
            self.open, self.calm = fires, 0
            return "open" if fires else ""
        if value is not None and value >= CALM_SHARE * self.watch.threshold:
            self.calm = 0
            return ""
        self.calm += 1
        if (self.calm - 1) * MINUTE >= CALM_FOR:
            self.open, self.rest = False, 0
            return "close"
        return ""


@settings(max_examples=200)
@given(
    st.lists(st.one_of(st.none(), st.sampled_from([0.0, 8.9, 9.0, 9.5, 10.0, 50.0])), max_size=60),
    st.sampled_from([0, 5, 15]),
)
def test_incidents_open_and_end_as_the_model_says(values: list[float | None], cooldown: int) -> None:
    watch = Watch("errors", threshold=10.0, window=5 * MINUTE, cooldown=cooldown * MINUTE)
    model, opened = Model(watch), None
    expected: list[tuple[datetime | None, datetime | None]] = []
    for number, value in enumerate(values):
        match model.minute(value):
            case "open":
                opened = AT + number * MINUTE
            case "close":
                expected.append((opened, AT + number * MINUTE))
                opened = None
    expected += [(opened, None)] if opened else []

    def read(at: datetime) -> Reading:
        return Reading(values[round((at - AT) / MINUTE)], 1)

    until = AT + (len(values) - 1) * MINUTE
    found = list(replay(watch, read, since=AT, until=until))
    assert [(each.opened_at, each.resolved_at) for each in found] == expected


def test_what_swings_around_the_threshold_is_one_incident() -> None:
    watch = Watch("errors", threshold=10.0, window=5 * MINUTE)
    found = list(replay(watch, lambda at: Reading(10.0 + (at.minute % 2 or -0.5)), since=AT, until=AT + 60 * MINUTE))
    assert len(found) == 1
    assert found[0].resolved_at is None


def test_nothing_said_opens_nothing_and_ends_what_is_open_in_time() -> None:
    watch = Watch("errors", threshold=10.0)
    assert decide(watch, Standing(), Reading(None, 3), at=AT) is Step.NONE
    assert decide(watch, Standing(AT), Reading(None), at=AT) is Step.CALM
    assert decide(watch, Standing(AT, calm_since=AT), Reading(None), at=AT + CALM_FOR - MINUTE) is Step.NONE
    assert decide(watch, Standing(AT, calm_since=AT), Reading(None), at=AT + CALM_FOR) is Step.RESOLVE


@pytest.mark.parametrize(
    ("quiet", "hour", "inside"),
    [((22, 6), 23, True), ((22, 6), 5, True), ((22, 6), 6, False), ((22, 6), 21, False), ((9, 17), 9, True),
     ((9, 17), 17, False), ((9, 17), 8, False), (None, 3, False)],
)  # fmt: skip
def test_quiet_hours_are_from_the_first_until_the_second(
    quiet: tuple[int, int] | None, hour: int, inside: bool
) -> None:
    assert evaluation.is_quiet(quiet, AT.replace(hour=hour)) is inside


def test_silence_is_counted_from_the_end_of_the_night() -> None:
    watch = Watch("silence", threshold=30, quiet=(22, 6))
    heard = AT.replace(hour=21, minute=50)
    night, morning = AT.replace(hour=3), AT.replace(hour=6, minute=20)
    assert evaluation.silence(watch, heard - timedelta(days=1), at=night).value is None
    assert evaluation.silence(watch, heard - timedelta(days=1), at=morning).value == 20
    assert evaluation.silence(watch, AT.replace(hour=6, minute=10), at=morning).value == 10
    assert evaluation.silence(Watch("silence"), None, at=AT).value is None


def test_a_quota_without_a_limit_says_nothing() -> None:
    assert evaluation.quota(900, None).value is None
    assert evaluation.quota(800, 1000) == Reading(80.0, 800)


@given(st.sampled_from(sorted(KINDS)), st.integers(1, 24 * 60))
def test_every_rule_is_looked_at_often_and_not_all_the_time(kind: str, minutes: int) -> None:
    assert SHORTEST_PERIOD <= period(kind, minutes * MINUTE) <= LONGEST_PERIOD
