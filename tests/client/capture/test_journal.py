"""What was appended is what is read, whatever happens to the disk or to the file; what is missing is counted."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from km_client.capture import losses
from km_client.capture.journal import (
    HEADER_BYTES,
    RECORD_HEADER_BYTES,
    REQUEST,
    RETRY_NS,
    Direction,
    DirectionJournal,
    JournalError,
    Record,
    encode_record,
    read_segment,
    segment_header,
    segment_name,
)
from km_client.capture.losses import Loss

SECOND = 1_000_000_000
OpenSegment = Callable[[Direction, int], int]


def segments_in(directory: Path) -> OpenSegment:
    def open_segment(direction: Direction, number: int) -> int:
        fd = os.open(
            directory / segment_name(direction, number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600
        )
        os.write(fd, segment_header(direction))
        return fd

    return open_segment


def journal_in(directory: Path, segment_bytes: int = 1_000_000) -> DirectionJournal:
    return DirectionJournal(REQUEST, segments_in(directory), lambda _: None, segment_bytes)


def read_all(directory: Path) -> list[Record]:
    return [record for path in sorted(directory.glob("*.kmj")) for record in read_segment(path)]


def write_segment(path: Path, *payloads: bytes) -> bytes:
    content = segment_header(REQUEST) + b"".join(encode_record(payload, n, n) for n, payload in enumerate(payloads, 1))
    path.write_bytes(content)
    return content


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 2**63), st.integers(0, 2**63))), st.integers(1, 2_000)
)
def test_what_was_appended_is_what_is_read(chunks: list[tuple[bytes, int, int]], segment_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        journal = journal_in(directory, segment_bytes)
        for chunk in chunks:
            journal.append(*chunk)
        records = read_all(directory)
        assert [(record.payload, record.monotonic_ns, record.unix_ns) for record in records] == chunks
        assert journal.records == len(chunks)
        assert not journal.lost


def test_reading_goes_on_where_a_record_ended(tmp_path: Path) -> None:
    write_segment(tmp_path / "s", b"one", b"two", b"three")
    first, second, third = read_segment(tmp_path / "s")
    assert list(read_segment(tmp_path / "s", first.end_offset)) == [second, third]
    assert list(read_segment(tmp_path / "s", third.end_offset)) == []


def test_a_full_segment_is_followed_by_another(tmp_path: Path) -> None:
    journal = journal_in(tmp_path, segment_bytes=200)
    for number in range(10):
        journal.append(b"x" * 100, number, number)
    assert len(list(tmp_path.glob("*.kmj"))) == journal.segments == 5
    assert len(read_all(tmp_path)) == 10


def test_a_tail_torn_at_any_byte_is_skipped_and_nothing_else(tmp_path: Path) -> None:
    content = write_segment(tmp_path / "s", b"first", b"second", b"the last one")
    whole = list(read_segment(tmp_path / "s"))
    for size in range(whole[-1].offset, len(content)):
        (tmp_path / "s").write_bytes(content[:size])
        assert list(read_segment(tmp_path / "s")) == whole[:2], size


def test_a_segment_torn_within_its_header_is_empty(tmp_path: Path) -> None:
    for size in range(HEADER_BYTES):
        (tmp_path / "s").write_bytes(segment_header(REQUEST)[:size])
        assert list(read_segment(tmp_path / "s")) == []


def test_a_bit_that_flipped_costs_its_record_and_is_told(tmp_path: Path) -> None:
    content = write_segment(tmp_path / "s", b"first", b"second", b"third")
    first, second, third = read_segment(tmp_path / "s")
    for offset in range(second.offset + 4, second.end_offset):  # checksum, moments, payload: the length is told below
        damaged = bytearray(content)
        damaged[offset] ^= 0x40
        (tmp_path / "s").write_bytes(damaged)
        before, gap, after = read_segment(tmp_path / "s")
        assert (before, after) == (first, third)
        assert gap.lost == (Loss("corrupt", 1, len(b"second")),)
        assert (gap.offset, gap.end_offset, gap.payload) == (second.offset, second.end_offset, b"")


def test_no_damage_makes_up_a_record(tmp_path: Path) -> None:
    content = write_segment(tmp_path / "s", b"first", b"second", b"third")
    whole = list(read_segment(tmp_path / "s"))
    for offset in range(HEADER_BYTES, len(content)):
        damaged = bytearray(content)
        damaged[offset] ^= 0x01
        (tmp_path / "s").write_bytes(damaged)
        for record in read_segment(tmp_path / "s"):
            assert record in whole or record.lost


@pytest.mark.parametrize("header", [b"NOPE" + bytes(12), b"KMJ1\x02" + bytes(11)], ids=["foreign", "newer"])
def test_a_foreign_file_is_refused(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "s").write_bytes(header)
    with pytest.raises(JournalError, match="not a journal segment of version 1"):
        list(read_segment(tmp_path / "s"))


class FailingDisk:
    """A directory whose disk fails when told to: with an error, or full after so many bytes."""

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self.error: int | None = None
        self.room: int | None = None
        self.calls = 0
        self._write = os.write
        self._open = segments_in(directory)
        self._fds: set[int] = set()
        patch.setattr("km_client.capture.journal.os.write", self.write)

    def open_segment(self, direction: Direction, number: int) -> int:
        self.calls += 1
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        fd = self._open(direction, number)
        self._fds.add(fd)
        return fd

    def write(self, fd: int, data: bytes) -> int:
        if fd not in self._fds:
            return self._write(fd, data)
        self.calls += 1
        if self.error or self.room == 0:
            raise OSError(self.error or errno.ENOSPC, "the disk failed")
        if self.room is not None:
            data = data[: self.room]
            self.room -= len(data)
        return self._write(fd, data)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FailingDisk:
    return FailingDisk(tmp_path, monkeypatch)


@pytest.mark.parametrize("room", range(RECORD_HEADER_BYTES + 6))
def test_a_record_the_disk_took_only_in_part_leaves_no_trace(tmp_path: Path, disk: FailingDisk, room: int) -> None:
    journal = DirectionJournal(REQUEST, disk.open_segment, lambda _: None)
    journal.append(b"before", 0, 0)
    disk.room = room
    journal.append(b"missed", SECOND, SECOND)
    disk.room = None
    journal.append(b"after", 3 * SECOND, 3 * SECOND)
    before, gap, after = read_all(tmp_path)
    assert (before.payload, after.payload) == (b"before", b"after")
    assert gap.lost == journal.lost == (Loss("disk_full", 1, 6),)
    assert before.end_offset == gap.offset and gap.end_offset == after.offset


def test_a_failing_disk_is_asked_once_a_second_at_most(disk: FailingDisk) -> None:
    journal = DirectionJournal(REQUEST, disk.open_segment, lambda _: None)
    disk.error = errno.EIO
    for millisecond in range(3_000):
        journal.append(b"x", SECOND + millisecond * 1_000_000, 0)
    assert disk.calls == 3 * SECOND // RETRY_NS
    assert journal.lost == (Loss("io_error", 3_000, 3_000),)


def test_each_reason_is_counted_for_itself(disk: FailingDisk, tmp_path: Path) -> None:
    journal = DirectionJournal(REQUEST, disk.open_segment, lambda _: None)
    for second, error in enumerate([errno.ENOSPC, errno.EACCES, errno.EIO, errno.EDQUOT], 1):
        disk.error = error
        journal.append(b"four", 2 * second * SECOND, 0)
    disk.error = None
    journal.append(b"recovered", 100 * SECOND, 0)
    expected = (Loss("disk_full", 2, 8), Loss("unwritable", 1, 4), Loss("io_error", 1, 4))
    gap, record = read_all(tmp_path)
    assert gap.lost == journal.lost == expected
    assert record.payload == b"recovered"


def test_a_second_gap_tells_only_of_itself(disk: FailingDisk, tmp_path: Path) -> None:
    journal = DirectionJournal(REQUEST, disk.open_segment, lambda _: None)
    for second, error in enumerate([None, errno.EIO, None, errno.EIO, None], 1):
        disk.error = error
        journal.append(b"x", 2 * second * SECOND, 0)
    assert [record.lost for record in read_all(tmp_path) if record.lost] == 2 * [(Loss("io_error", 1, 1),)]
    assert journal.lost == (Loss("io_error", 2, 2),)


def test_a_segment_that_cannot_be_opened_leaves_the_old_one_in_use(tmp_path: Path, disk: FailingDisk) -> None:
    journal = DirectionJournal(REQUEST, disk.open_segment, lambda _: None, segment_bytes=100)
    journal.append(b"x" * 200, 1, 1)
    disk.error = None
    disk._open = _refuse
    journal.append(b"y" * 200, 2, 2)
    assert [record.payload[:1] for record in read_all(tmp_path)] == [b"x", b"y"]
    assert not journal.lost


def _refuse(direction: Direction, number: int) -> int:
    raise PermissionError(errno.EACCES, "no more files")


def test_losses_are_summed_by_reason_and_survive_encoding() -> None:
    summed = losses.total([Loss("torn", 1, 2), Loss("disk_full", 1, 5), Loss("torn", 2, 3)])
    assert summed == (Loss("disk_full", 1, 5), Loss("torn", 3, 5))
    assert losses.decode(losses.encode(summed)) == summed
