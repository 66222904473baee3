"""What the agent may rely on: order, marks, deletion, and the truth about what is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from km_client.capture.journal import DIRECTIONS, HEADER_BYTES, REQUEST, RESPONSE, JournalError
from km_client.capture.losses import Loss
from km_client.capture.spool import SETTLE_NS, Mark, SessionSpool, list_sessions

from tests.client.capture.recorder import MILLISECOND, Recorder, everything


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(tmp_path)
    yield recorder
    recorder.die()


def test_records_of_both_directions_come_in_the_order_they_were_read(recorder: Recorder) -> None:
    for moment, direction in enumerate([REQUEST, RESPONSE, RESPONSE, REQUEST, RESPONSE]):
        recorder.say(direction, b"%d" % moment, moment)
    assert [record.payload for record in everything(recorder.spool)] == [b"0", b"1", b"2", b"3", b"4"]


def test_young_records_wait_while_the_session_runs_and_not_when_it_is_over(recorder: Recorder) -> None:
    recorder.say(REQUEST, b"old", 0)
    recorder.say(RESPONSE, b"young", 100)
    now_ns = 100 * MILLISECOND + SETTLE_NS - 1
    assert [record.payload for record in recorder.spool.records({}, over=False, now_ns=now_ns)] == [b"old"]
    assert [record.payload for record in recorder.spool.records({}, over=False, now_ns=now_ns + 1)] == [
        b"old",
        b"young",
    ]
    assert [record.payload for record in recorder.spool.records({}, over=True, now_ns=0)] == [b"old", b"young"]


def test_a_session_is_over_when_its_relay_is_gone_however_it_went(recorder: Recorder) -> None:
    assert not recorder.spool.is_over()
    assert not recorder.spool.is_over()  # asking changes nothing
    recorder.die()
    assert recorder.spool.is_over()
    assert not recorder.spool.status().ended


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(DIRECTIONS), st.binary(min_size=1, max_size=60)), max_size=30),
    st.lists(st.integers(0, 5), max_size=10),
)
def test_reading_in_steps_gives_the_same_as_reading_at_once(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[tuple[str, bytes]], steps: list[int]
) -> None:
    recorder = Recorder(tmp_path_factory.mktemp("journal"), segment_bytes=150)
    for moment, (direction, data) in enumerate(chunks):
        recorder.say(direction, data, moment)
    marks: dict[str, Mark] = {}
    seen = []
    for step in [*steps, len(chunks)]:
        for _, record in zip(range(step), recorder.spool.records(marks, over=True, now_ns=0), strict=False):
            marks[record.direction] = Mark(record.segment, record.end_offset)
            seen.append((record.direction, record.payload))
        for direction, mark in marks.items():
            recorder.spool.acknowledge(direction, mark)
    assert seen == chunks
    recorder.die()


def test_only_segments_that_hold_nothing_else_are_deleted(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, segment_bytes=100)
    for moment in range(4):
        recorder.say(REQUEST, b"x" * 100, moment)
    third = everything(recorder.spool)[2]
    recorder.spool.acknowledge(REQUEST, Mark(third.segment, third.end_offset))
    assert [path.name for path in recorder.spool.segments(REQUEST)] == ["request-00000003.kmj", "request-00000004.kmj"]
    assert recorder.rotations == 3
    recorder.die()


def test_a_removed_session_is_gone(recorder: Recorder, tmp_path: Path) -> None:
    recorder.die()
    recorder.spool.remove()
    assert not list(tmp_path.iterdir())
    assert list_sessions(tmp_path) == []


def test_sessions_are_listed_by_age_and_hidden_ones_not_at_all(tmp_path: Path) -> None:
    assert list_sessions(tmp_path / "nothing yet") == []
    recorders = [Recorder(tmp_path, name) for name in ("019b", "019a")]
    (tmp_path / ".019c.new").mkdir()
    assert [spool.name for spool in list_sessions(tmp_path)] == ["019a", "019b"]
    for recorder in recorders:
        recorder.die()


def test_a_torn_tail_is_told_once_nothing_can_be_added(recorder: Recorder) -> None:
    recorder.say(REQUEST, b"whole", 0)
    recorder.say(REQUEST, b"torn", 1)
    (segment,) = recorder.spool.segments(REQUEST)
    segment.write_bytes(segment.read_bytes()[:-2])
    assert len(list(recorder.spool.records({}, over=False, now_ns=10**12))) == 1
    whole, torn = everything(recorder.spool)
    assert (torn.lost, torn.payload) == ((Loss("torn", 1, 2),), b"")
    assert not list(recorder.spool.records({REQUEST: Mark(1, torn.end_offset)}, over=True, now_ns=0))
    (again,) = recorder.spool.records({REQUEST: Mark(1, whole.end_offset)}, over=True, now_ns=0)
    assert again.lost == torn.lost


def test_a_torn_segment_does_not_hide_the_next(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, segment_bytes=50)
    for moment in range(3):
        recorder.say(REQUEST, b"x" * 50, moment)
    first = recorder.spool.segments(REQUEST)[0]
    first.write_bytes(first.read_bytes()[: HEADER_BYTES + 10])
    records = list(recorder.spool.records({}, over=False, now_ns=10**12))
    assert [bool(record.lost) for record in records] == [True, False, False]
    recorder.die()


def test_the_description_is_read_as_it_was_written(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, server_name="caf\udce9", api_key="km_live_x", local_only=True)
    session = recorder.spool.session()
    assert (session.server_name, session.api_key, session.local_only) == ("caf\udce9", "km_live_x", True)
    assert session.command == ("npx", "notes")
    assert (recorder.spool.path / "session.json").stat().st_mode & 0o777 == 0o600
    assert recorder.spool.path.stat().st_mode & 0o777 == 0o700
    recorder.die()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "command": ["x"], "colour": "red"}']
)
def test_a_description_that_is_none_is_refused(recorder: Recorder, text: str) -> None:
    (recorder.spool.path / "session.json").write_text(text)
    with pytest.raises(JournalError):
        recorder.spool.session()


def test_the_status_tells_counts_losses_and_the_end(recorder: Recorder) -> None:
    recorder.say(REQUEST, b"12345", 0)
    recorder.recording.finish(exit_code=7, signal=None, unix_ns=99)
    status = recorder.spool.status()
    assert (status.ended, status.exit_code, status.signal, status.ended_at_unix_ns) == (True, 7, None, 99)
    assert status.request == (1, 5, ())
    assert status.response == (0, 0, ())
    assert (recorder.spool.path / "status").stat().st_size == 4096


def test_a_status_that_is_none_is_refused(recorder: Recorder) -> None:
    for content in (b"", b"x" * 4096, (recorder.spool.path / "status").read_bytes().replace(b"KMST", b"KMSU")):
        (recorder.spool.path / "status").write_bytes(content)
        with pytest.raises(JournalError, match="not a status file"):
            recorder.spool.status()


def test_a_directory_that_appears_later_is_recorded_into_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file in the way")
    recorder = Recorder(tmp_path / "journal")
    recorder.say(REQUEST, b"missed", 1)
    (tmp_path / "journal").unlink()
    recorder.say(REQUEST, b"too early to try again", 2)
    recorder.say(REQUEST, b"recorded", 2_000)
    gap, record = everything(recorder.spool)
    assert (gap.lost, record.payload) == ((Loss("unwritable", 2, 28),), b"recorded")
    assert recorder.spool.status().request.lost == gap.lost
    assert len(recorder.failures) == 1  # told once
    recorder.die()


def test_nobody_sees_half_a_session(tmp_path: Path) -> None:
    """While it is made it has a hidden name; if it cannot be made, nothing is left of it."""
    recorder = Recorder(tmp_path, "run-1")
    shutil.rmtree(tmp_path / "run-1")
    (tmp_path / "run-1").mkdir()
    (tmp_path / "run-1" / "in the way").touch()
    second = Recorder(tmp_path, "run-1")
    assert second.failures
    assert [path.name for path in tmp_path.iterdir()] == ["run-1"]
    assert isinstance(SessionSpool(tmp_path / "run-1").is_over(), bool)
    recorder.die()
