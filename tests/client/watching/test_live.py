"""Following what is said: each event once, from the journals and the log, whatever becomes of either."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from km_client.watching import sources
from km_client.watching.live import Follower

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import answer, call
from tests.client.watching.conftest import Log
from tests.end_to_end.waiting import eventually

EVER = datetime(2020, 1, 1, tzinfo=UTC)


def follower(since: datetime = EVER) -> Follower:
    return Follower(sources.redactor(), since)


def sequences(following: Follower, count: int) -> list[int]:
    """The next `count` events' numbers; a living journal's last records settle for a moment first."""
    found: list[int] = []

    def enough() -> bool:
        found.extend(event.sequence or 0 for event in following.poll())
        return len(found) >= count

    eventually(enough)
    return found


def test_what_is_said_meanwhile_comes_once_and_in_order(record: Record, log: Log) -> None:
    session, following = record(), follower()
    assert following.poll() == [] and following.live == {"run-1"}
    for number in range(5):
        session.request(call(number))
        assert sequences(following, 1) == [2 * number]
        session.response(answer(number))
        assert sequences(following, 1) == [2 * number + 1]
        log(session)
        assert following.poll() == [], "the log says it too"
    session.end()
    assert following.poll() == [] and following.live == set()


def test_the_end_of_a_session_that_is_gone_comes_from_the_log(record: Record, log: Log) -> None:
    session, following = record(local_only=True), follower()
    session.request(call(1))
    assert sequences(following, 1) == [0]
    session.response(answer(1))
    session.end()
    log(session)
    assert not session.path.exists()
    assert sequences(following, 1) == [1] and following.poll() == []


def test_what_was_said_before_comes_first_from_the_log(record: Record, log: Log) -> None:
    session = record(local_only=True, segment_bytes=2_000)
    for number in range(40):
        session.request(call(number))
    log(session)
    for number in range(40, 43):
        session.request(call(number))
    following = follower()
    assert sequences(following, 43) == list(range(43))
    assert follower(datetime.now(UTC) + timedelta(hours=1)).poll() == []


def test_one_unreadable_journal_is_named_and_stops_no_other(record: Record) -> None:
    broken, good = record("run-1"), record("run-2")
    broken.request(call(1))
    (segment,) = broken.path.glob("request-*.kmj")
    segment.write_bytes(b"KMJ9" + segment.read_bytes()[4:])
    good.request(call(1))
    following = follower()
    assert sequences(following, 1) == [0]
    assert set(following.problems) == {"run-1"} and "version 1" in following.problems["run-1"]


def test_a_torn_record_comes_when_it_is_whole(record: Record) -> None:
    session, following = record(), follower()
    session.request(call(1))
    (segment,) = session.path.glob("request-*.kmj")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-5])
    assert following.poll() == []
    segment.write_bytes(whole)
    assert sequences(following, 1) == [0]


@pytest.mark.parametrize("rotations", [3])
def test_the_log_is_followed_into_its_next_files(record: Record, log: Log, machine: Path, rotations: int) -> None:
    following = follower()
    for number in range(rotations):
        session = record(f"run-{number}", local_only=True)
        for each in range(40):
            session.request(call(each, text="x" * 60_000))
        session.end()
        log(session)
        assert sequences(following, 40) == list(range(40))
    assert len(list((machine / "data" / "log").iterdir())) >= rotations
