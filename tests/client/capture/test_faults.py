"""Real monitors on bad disks: the stream never notices, a person is told once, and what is missing is counted."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from km_client.capture.journal import REQUEST, RESPONSE, DirectionJournal
from km_client.capture.spool import SessionSpool, list_sessions

from tests.client.capture.recorder import everything
from tests.client.conftest import StartMonitor
from tests.client.monitored import PATIENCE_SECONDS, Monitored, recorded
from tests.end_to_end.waiting import eventually

MESSAGE = b'{"id":1,"text":"' + b"x" * 1_000 + b'"}\n'
LIMIT_BYTES = 20_000


def exchange_many(relay: Monitored, count: int) -> None:
    for _ in range(count):
        assert relay.exchange(MESSAGE) == MESSAGE


def accounted_for(spool: SessionSpool, direction: str) -> int:
    """Bytes that are recorded or told as lost in the stream, and those that only the status knows of."""
    records = [record for record in everything(spool) if record.direction == direction]
    told = sum(loss.bytes for record in records for loss in record.lost)
    known = sum(loss.bytes for loss in getattr(spool.status(), direction).lost)
    return sum(len(record.payload) for record in records) + int(max(told, known))


def limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, resource.RLIM_INFINITY))


def exchange_until(relay: Monitored, condition: Callable[[], bool]) -> int:
    """Send messages until `condition` holds. Returns how many."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    sent = 0
    while not condition():
        exchange_many(relay, 1)
        sent += 1
        assert time.monotonic() < deadline
    return sent


def gaps(spool: SessionSpool) -> list[str]:
    """The directions of the gaps that are recorded."""
    return sorted(record.direction for record in everything(spool) if record.lost)


@pytest.mark.skipif(sys.platform != "linux", reason="lifts the limit of a running process")
def test_a_full_disk_stops_recording_until_there_is_room_and_never_the_stream(data_dir: Path) -> None:
    with Monitored(["cat"], data_dir, preexec_fn=limit_file_size) as relay:
        exchange_many(relay, 40)
        spool = relay.session()
        assert [loss.reason for loss in spool.status().request.lost] == ["disk_full"]
        resource.prlimit(relay.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        count = 40 + exchange_until(relay, lambda: gaps(spool) == [REQUEST, RESPONSE])
        _, err = relay.finish()
    assert err.count(b"\n") == 1
    assert b"cannot record: File too large" in err and b"the stream goes on" in err
    for direction in (REQUEST, RESPONSE):
        assert accounted_for(spool, direction) == count * len(MESSAGE)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB, full but for what a session needs to begin."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a file system: {mounted.stderr.decode().strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_disk_that_fills_up_for_real_recovers_too(tiny_disk: Path) -> None:
    with Monitored(["cat"], tiny_disk) as relay:
        exchange_many(relay, 100)
        spool = relay.session()
        assert spool.status().request.lost and spool.status().response.lost
        subprocess.run(["mount", "-o", "remount,size=1m", tiny_disk], check=True)
        sent = 100 + exchange_until(relay, lambda: gaps(spool) == [REQUEST, RESPONSE])
        relay.finish()
    for direction in (REQUEST, RESPONSE):
        assert accounted_for(spool, direction) == sent * len(MESSAGE)


def test_a_session_may_begin_on_a_full_disk(tiny_disk: Path) -> None:
    (tiny_disk / "filler").write_bytes(b"")
    with (tiny_disk / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 4096)
        except OSError as error:
            assert error.strerror == "No space left on device"
    with Monitored(["cat"], tiny_disk) as relay:
        exchange_many(relay, 20)
        assert list_sessions(tiny_disk / "journal") == []
        (tiny_disk / "filler").unlink()
        exchange_until(relay, lambda: bool(list_sessions(tiny_disk / "journal")))
        _, err = relay.finish()
    assert b"No space left on device" in err
    assert any(record.lost for record in everything(relay.session()))


def test_a_data_directory_that_cannot_be_is_told_once(monitor: StartMonitor, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    relay = monitor(["cat"], env={"KM_DATA_DIR": str(tmp_path / "file" / "below")})
    out, err = relay.finish(MESSAGE * 1_000)
    assert out == MESSAGE * 1_000
    assert relay.process.returncode == 0
    assert err.count(b"cannot record: Not a directory") == 1


def test_two_monitors_at_once_record_what_is_theirs(data_dir: Path) -> None:
    with (
        Monitored(["cat"], data_dir, "--session-id", "mine") as one,
        Monitored(["cat"], data_dir, "--session-id", "mine") as two,
    ):
        for number in range(200):
            one.exchange(b"one %d\n" % number)
            two.exchange(b"two %d\n" % number)
    sessions = list_sessions(data_dir / "journal")
    contents = {recorded(spool, REQUEST)[:3]: recorded(spool, RESPONSE) for spool in sessions}
    assert contents == {name: b"".join(b"%s %d\n" % (name, n) for n in range(200)) for name in (b"one", b"two")}
    assert [spool.session().session_id for spool in sessions] == ["mine", "mine"]


def test_what_was_answered_before_a_kill_is_recorded(monitor: StartMonitor) -> None:
    """The answer proves that the request was recorded; of the answer itself, at most that one chunk may be missing."""
    relay = monitor(["cat"])
    exchange_many(relay, 500)
    relay.process.kill()
    relay.wait()
    assert relay.recorded(REQUEST) == MESSAGE * 500
    assert relay.recorded(RESPONSE) in (MESSAGE * 500, MESSAGE * 499)


def test_a_monitor_keeps_the_cap_without_an_agent(data_dir: Path) -> None:
    cap, segment = 200_000, 20_000
    env = {"KM_JOURNAL_CAP_BYTES": str(cap), "KM_JOURNAL_SEGMENT_BYTES": str(segment)}
    with Monitored(["cat"], data_dir, env=env) as relay:
        exchange_many(relay, 600)
        spool = relay.session()
        eventually(lambda: journal_bytes(data_dir) <= cap + 2 * segment, what="the journals fit")
    for direction in (REQUEST, RESPONSE):
        records = [record for record in everything(spool) if record.direction == direction]
        capped = sum(loss.bytes for record in records for loss in record.lost)
        assert capped + sum(len(record.payload) for record in records) == 600 * len(MESSAGE)


def journal_bytes(data_dir: Path) -> int:
    """The relay may give a segment up between its listing and the look at its size."""
    size = 0
    for path in data_dir.glob("journal/*/*.kmj"):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def test_the_relay_forwards_before_it_records(monkeypatch: pytest.MonkeyPatch) -> None:
    from km_client.proxy.channel import Channel, Watch  # noqa: PLC0415 - POSIX only

    source, ours = os.pipe()
    theirs, sink = os.pipe()
    seen: list[bytes] = []

    def look(*_: object) -> None:
        seen.append(os.read(theirs, 100))

    os.set_blocking(theirs, False)
    journal = DirectionJournal(REQUEST, lambda *_: -1, print)
    monkeypatch.setattr(journal, "append", look)
    channel = Channel(source, sink, journal, Watch(), on_end=print, on_broken=print)
    os.write(ours, b"hello")
    channel.on_readable()
    assert seen == [b"hello"]
    for fd in (source, ours, theirs, sink):
        os.close(fd)
