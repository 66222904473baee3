"""When something is due again: spread, growing pauses, and at once when something changed meanwhile."""

from __future__ import annotations

import pytest
from km_client.entitlement.timetable import PAUSE_SECONDS, Duty

NOW = 1000.0


def test_a_new_duty_is_due_at_once() -> None:
    assert Duty(max).due <= NOW


@pytest.mark.parametrize(("uniform", "due"), [(min, NOW + 270), (max, NOW + 330)])
def test_the_servers_interval_is_spread_by_a_tenth_in_both_directions(uniform: object, due: float) -> None:
    duty = Duty(uniform)  # type: ignore[arg-type]
    duty.done(300.0, now=NOW)
    assert duty.due == due


@pytest.mark.parametrize("interval", [0.0, 0.5, 1.0])
def test_nothing_is_asked_more_often_than_once_a_second(interval: float) -> None:
    duty = Duty(min)
    duty.done(interval, now=NOW)
    assert duty.due == NOW + 1.0


def test_pauses_grow_with_every_failure_have_full_jitter_and_end_with_a_success() -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return high

    duty = Duty(uniform)
    for _ in range(9):
        duty.failed("no", now=NOW)
    assert drawn == [(0.0, high) for high in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0)]
    duty.done(300.0, now=NOW)
    assert (duty.failures, duty.problem) == (0, "")
    duty.failed("no", now=NOW)
    assert drawn[-1] == (0.0, 0.5)


def test_the_server_may_ask_for_a_longer_pause() -> None:
    duty = Duty(max)
    duty.failed("busy", now=NOW, least=40.0)
    assert duty.due == NOW + 40


def test_what_only_a_person_can_change_is_tried_every_few_minutes_or_as_often_as_usual() -> None:
    duty = Duty(max)
    duty.refused("the key", now=NOW)
    assert duty.due == NOW + 1.1 * PAUSE_SECONDS
    duty.done(10.0, now=NOW)
    duty.refused("the key", now=NOW)
    assert duty.due == NOW + 11
    duty.done(86_400.0, now=NOW)
    duty.refused("the key", now=NOW)
    assert duty.due == NOW + 1.1 * PAUSE_SECONDS


@pytest.mark.parametrize("end", ["done", "failed", "refused"])
def test_a_hurry_during_the_request_asks_for_another(end: str) -> None:
    duty = Duty(max)
    duty.begin()
    duty.hurry()
    if end == "done":
        duty.done(300.0, now=NOW)
    else:
        getattr(duty, end)("no", now=NOW)
    assert duty.due <= NOW
    duty.begin()
    duty.done(300.0, now=NOW)
    assert duty.due > NOW
