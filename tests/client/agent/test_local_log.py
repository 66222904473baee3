"""The local log: whole lines, once each, capped, and never in the way."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from km_client.agent.correlation import Relation
from km_client.agent.events import Place, Scene, event_id, message_event
from km_client.agent.local_log import FILES, LINE_BYTES, LocalLog, log_files, read_lines
from km_client.agent.understanding import understand
from km_protocol.envelope import Event, Party

from tests.client.agent.test_checkpoint import no_file_longer_than

NOW_NS = 1_800_000_000_000_000_000


def event(number: int, text: str = "") -> bytes:
    line = json.dumps({"id": number, "method": "ping", "params": {"text": text}}).encode()
    (message,) = understand(line)
    place = Place("request", number, NOW_NS, event_id("run-1", number, NOW_NS))
    made = message_event(Scene("s", Party("git"), None), message, Relation(), at=place, size=len(line))
    return msgspec.json.encode(made)


def logged(directory: Path) -> list[Event]:
    lines = [line for path in log_files(directory) for line, _ in read_lines(path)]
    return [msgspec.json.decode(line, type=Event) for line in lines]


def test_events_are_logged_as_they_are_shipped(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "log", 2**20)
    log.write([event(1), event(2)])
    log.write([event(3)])
    (path,) = log_files(tmp_path / "log")
    assert [line for line, _ in read_lines(path)] == [event(1), event(2), event(3)]
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    log.close()


@pytest.mark.parametrize("torn", [1, 50, 200])
def test_a_line_torn_by_a_crash_is_cut_off_when_the_log_is_opened_again(tmp_path: Path, torn: int) -> None:
    log = LocalLog(tmp_path, 2**20)
    log.write([event(1), event(2)])
    log.close()
    (path,) = log_files(tmp_path)
    path.write_bytes(path.read_bytes()[:-torn])
    again = LocalLog(tmp_path, 2**20)
    again.write([event(3)])
    again.close()
    assert [entry.sequence for entry in logged(tmp_path)] == [1, 3]


def test_a_torn_line_longer_than_a_look_back_is_cut_off_too(tmp_path: Path) -> None:
    (tmp_path / "events-00000001.jsonl").write_bytes(event(1) + b"\n" + b"x" * 300_000)
    log = LocalLog(tmp_path, 2**20 * FILES)
    log.write([event(2)])
    log.close()
    assert [entry.sequence for entry in logged(tmp_path)] == [1, 2]


def test_the_oldest_file_is_given_up_and_the_whole_stays_within_its_size(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, 2**20)
    for number in range(3000):
        log.write([event(number, "x" * 800)])
    log.close()
    sizes = [path.stat().st_size for path in log_files(tmp_path)]
    assert len(sizes) == FILES
    assert sum(sizes) < 2**20 + FILES * 2000
    numbers = [entry.sequence for entry in logged(tmp_path)]
    assert numbers == list(range(numbers[0] or 0, 3000))


def test_a_long_message_is_logged_as_its_beginning(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, 2**24)
    log.write([event(1, "y" * 5_000_000), event(2)])
    log.close()
    first, second = logged(tmp_path)
    assert first.truncated and len(first.message) < LINE_BYTES
    assert first.size and first.size > 5_000_000
    assert not second.truncated


def test_what_is_in_the_log_is_known_after_a_crash(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, 2**20)
    log.write([event(1), event(2)])
    known = LocalLog(tmp_path, 2**20).known_ids()
    assert {event_id("run-1", number, NOW_NS) for number in (1, 2)} <= known
    log.close()


def test_a_full_disk_costs_lines_which_are_counted_and_leaves_no_half_line(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, 2**20)
    log.write([event(1)])
    with no_file_longer_than(log_files(tmp_path)[0].stat().st_size + 100):
        log.write([event(2), event(3)])
    assert log.lost == 2
    log.write([event(4)])
    log.close()
    assert [entry.sequence for entry in logged(tmp_path)] == [1, 4]


def test_a_log_that_is_turned_off_writes_nothing(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "log", 0)
    log.write([event(1)])
    assert not (tmp_path / "log").exists()


def test_a_log_directory_that_cannot_be_made_is_counted(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file")
    log = LocalLog(tmp_path / "log", 2**20)
    log.write([event(1)])
    assert log.lost == 1
