"""The journals stay within their cap, and what that costs is told where it was."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

from km_client.capture import cap
from km_client.capture.journal import HEADER_BYTES, REQUEST, RESPONSE
from km_client.capture.losses import Loss
from km_client.capture.spool import Mark, list_sessions

from tests.client.capture.recorder import Recorder, everything


def fill(recorder: Recorder, segments: int, *, age: int) -> None:
    """So many segments of four records each, the oldest `age` seconds old."""
    for record in range(4 * segments):
        recorder.say(REQUEST, b"x" * 1_000, record)
    for number, path in enumerate(recorder.spool.segments(REQUEST)):
        os.utime(path, (1_000_000 - age + number, 1_000_000 - age + number))


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("*/*.kmj"))


def test_nothing_is_given_up_below_the_cap(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, segment_bytes=4_000)
    fill(recorder, 5, age=100)
    before = everything(recorder.spool)
    assert cap.enforce(tmp_path, size_of(tmp_path)) == 0
    assert everything(recorder.spool) == before
    recorder.die()


def test_the_oldest_segments_of_all_sessions_are_given_up_first(tmp_path: Path) -> None:
    old, new = Recorder(tmp_path, "b", 4_000), Recorder(tmp_path, "a", 4_000)
    fill(old, 3, age=200)
    fill(new, 3, age=100)
    assert cap.enforce(tmp_path, size_of(tmp_path) - 5_000) == 2
    assert Counter(bool(record.lost) for record in everything(old.spool)) == {True: 1, False: 4}
    assert not any(record.lost for record in everything(new.spool))
    old.die()
    new.die()


def test_what_was_given_up_is_one_gap_that_counts_it(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, segment_bytes=4_000)
    fill(recorder, 4, age=100)
    for excess in (1, 1, 1):  # one at a time: each joins the gap before it
        cap.enforce(tmp_path, size_of(tmp_path) - excess)
    gap, *kept = everything(recorder.spool)
    assert gap.lost == (Loss("capped", 12, 12_000),)
    assert (gap.segment, len(kept)) == (3, 4)
    assert not any(record.lost for record in kept)
    recorder.die()


def test_the_segments_in_use_are_never_touched(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, segment_bytes=4_000)
    fill(recorder, 2, age=100)
    recorder.say(RESPONSE, b"y" * 3_000, 50)
    cap.enforce(tmp_path, 1)
    recorder.say(REQUEST, b"and on", 60)
    gap, *kept = everything(recorder.spool)
    assert gap.lost == (Loss("capped", 4, 4_000),)
    assert [len(record.payload) for record in kept] == [1_000] * 4 + [3_000, 6]
    recorder.die()


def test_all_of_a_dead_session_may_be_given_up(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, segment_bytes=4_000)
    fill(recorder, 2, age=100)
    recorder.die()
    cap.enforce(tmp_path, 1)
    (gap,) = everything(recorder.spool)
    assert gap.lost == (Loss("capped", 8, 8_000),)
    assert size_of(tmp_path) < cap.GIVEN_UP_BYTES
    assert cap.enforce(tmp_path, 1) == 0


def test_a_mark_inside_a_segment_that_was_given_up_meets_the_gap(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, segment_bytes=4_000)
    fill(recorder, 2, age=100)
    half = everything(recorder.spool)[1]
    recorder.die()
    cap.enforce(tmp_path, 1)
    (gap,) = recorder.spool.records({REQUEST: Mark(half.segment, half.end_offset)}, over=True, now_ns=0)
    assert gap.lost == (Loss("capped", 8, 8_000),)


def test_losses_of_the_disk_survive_the_cap(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, segment_bytes=4_000)
    recorder.say(REQUEST, b"x" * 1_000, 1)
    with_room = recorder.recording.request._fd
    read_only = os.open(os.devnull, os.O_RDONLY)
    recorder.recording.request._fd = read_only
    recorder.say(REQUEST, b"missed", 2)
    assert recorder.recording.request._fd == -1  # a segment that cannot even be cut back is left
    recorder.say(REQUEST, b"x" * 1_000, 3_000)
    recorder.die()
    cap.enforce(tmp_path, 1)
    os.close(with_room)
    gaps = everything(recorder.spool)
    assert gaps[-1].lost == (Loss("io_error", 1, 6), Loss("capped", 2, 2_000))


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, segment_bytes=4_000)
    fill(recorder, 1, age=100)
    recorder.die()
    foreign = recorder.spool.path / "request-00000000.kmj"
    foreign.write_bytes(random.Random(1).randbytes(5_000))
    assert cap.enforce(tmp_path, 1) == 1
    assert foreign.stat().st_size == 5_000
    assert recorder.spool.segments(REQUEST)[1].stat().st_size > HEADER_BYTES


def test_a_directory_without_journals_is_within_any_cap(tmp_path: Path) -> None:
    assert cap.enforce(tmp_path / "nothing yet", 1) == 0
    assert list_sessions(tmp_path / "nothing yet") == []
