"""What is done with a plugin follows from what stands: the whole table, and what a seat keeps meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from km_client.agent.plugin_seat import DRAIN_SECONDS, KEPT_EVENTS, Seat, Standing, decide, seat_for
from km_client.capture.spool import Session
from km_protocol.envelope import Event

NEEDED = frozenset({"api_logging"})


def seat(*, started: bool = False, told: bytes = b"1") -> Seat:
    return Seat("one", Path("/p"), None, "", 0.0, has_started=started, told=told)


def standing(state: str | None, *, held: bool = False, missing: bool = False, wanted: bool = True) -> Standing:
    return Standing(held, NEEDED if missing else frozenset(), wanted, state, b"1")  # type: ignore[arg-type]


@pytest.mark.parametrize("state", [None, "stopped"])
def test_what_may_run_and_is_wanted_starts(state: str | None) -> None:
    assert decide(standing(state), seat()) == "start"


@pytest.mark.parametrize("reason", [{"held": True}, {"missing": True}])
def test_nothing_starts_before_it_is_known_that_it_may(reason: dict[str, bool]) -> None:
    assert decide(standing(None, **reason), seat()) == "nothing"


@pytest.mark.parametrize("state", ["starting", "running", "backing_off"])
def test_a_downgrade_stops_what_runs(state: str) -> None:
    assert decide(standing(state, missing=True), seat(started=True)) == "stop"


def test_an_upgrade_waits_until_the_stopped_one_has_ended() -> None:
    assert decide(standing("stopping"), seat(started=False)) == "nothing"
    assert decide(standing("stopped"), seat(started=False)) == "start"


def test_only_a_running_plugin_is_told_and_only_what_is_new() -> None:
    assert decide(standing("running"), seat(started=True, told=b"old")) == "tell"
    assert decide(standing("running"), seat(started=True, told=b"1")) == "nothing"
    assert decide(standing("starting"), seat(started=True, told=b"old")) == "nothing"


def test_settings_that_became_wrong_leave_a_running_plugin_as_it_is() -> None:
    assert decide(standing("running", held=True), seat(started=True)) == "nothing"


def test_a_refused_plugin_is_tried_again_with_another_configuration_and_a_crashed_one_is_not() -> None:
    assert decide(standing("refused"), seat(started=True, told=b"1")) == "nothing"
    assert decide(standing("refused"), seat(started=True, told=b"old")) == "start"
    assert decide(standing("disabled"), seat(started=True, told=b"old")) == "nothing"


@pytest.mark.parametrize("state", ["starting", "running", "backing_off"])
def test_what_no_session_wants_stops_and_then_leaves(state: str) -> None:
    assert decide(standing(state, wanted=False), seat(started=True)) == "stop"
    assert decide(standing("stopped", wanted=False), seat()) == "leave"


def test_a_plugin_is_wanted_until_it_has_worked_on_what_it_was_fed_but_not_for_ever() -> None:
    one = seat(started=True)
    one.join("run", "session", debug=False)
    assert one.is_wanted(idle=True, at=0.0)
    one.leave("run", at=100.0)
    assert one.is_wanted(idle=False, at=101.0)
    assert not one.is_wanted(idle=True, at=101.0)
    assert not one.is_wanted(idle=False, at=100.0 + DRAIN_SECONDS)


def test_events_of_a_session_that_ended_at_once_still_reach_the_plugin() -> None:
    one = seat()
    one.join("run", "session", debug=False)
    one.keep([event(1)])
    one.leave("run", at=100.0)
    assert one.is_wanted(idle=True, at=100.5)


def test_what_cannot_be_kept_is_counted() -> None:
    one = seat()
    one.keep([event(1)] * (KEPT_EVENTS - 1))
    one.keep([event(2)] * 3)
    one.keep([event(3)] * 4)
    assert (len(one.kept), one.missed) == (KEPT_EVENTS, 6)


def test_two_customers_and_a_local_session_never_share_a_plugin(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    usual, local = session(), session(local_only=True)
    others = [session(api_key="km_live_" + letter * 36) for letter in "ab"]
    keys = [seat_for(path, each, None, "", since=0.0).key for each in (usual, local, *others)]
    assert keys[:2] == ["mine", "mine@local"]
    assert len(set(keys)) == 4


def test_a_plugin_that_is_not_there_has_a_seat_that_says_so(tmp_path: Path) -> None:
    made = seat_for(tmp_path / "nothing", session(), None, "", since=0.0)
    assert made.spec is None
    assert made.trouble is not None
    assert made.trouble.code == "plugin_missing"
    assert str(tmp_path / "nothing") in str(made.trouble)


def session(*, local_only: bool = False, api_key: str | None = None) -> Session:
    return Session("s", "git", ("git",), "/", 1, 0, "1.0.0", local_only, None, api_key)


def event(number: int) -> Event:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return Event(id=str(number), timestamp=moment, type="request", direction="request", message=msgspec.Raw(b"{}"))
