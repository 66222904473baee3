"""The journal of one direction: append-only segments of records, each exactly what one `read()` returned.

    request-00000001.kmj
      header   4B 4D 4A 31 | 01 | 00 | 00 …          magic `KMJ1`, version, direction, reserved to 16 bytes
      record   length u32 | crc32 u32 | monotonic_ns u64 | unix_ns u64 | payload          little endian
      record   …

The checksum covers both moments and the payload. A set top bit of `length` marks a gap record: its payload counts what
was forwarded but could not be recorded at this place of the stream (`losses.encode`).

Guarantees: `append` never raises because of the disk; what it could not write it counts, and once writing works again
the gap is itself recorded, where it was. A record that stands in a segment survives `kill -9`; nothing is synced, so it
does not survive a power cut in the next half minute. The relay forwards a chunk before it appends it: a relay killed
between the two has forwarded one chunk per direction that no journal knows of. Readers skip a torn tail.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple
from zlib import crc32

from km_client.capture import losses
from km_client.capture.losses import Loss

Direction = str
REQUEST: Final = "request"  # client to server, whatever the message is
RESPONSE: Final = "response"  # server to client
DIRECTIONS: Final = (REQUEST, RESPONSE)

SEGMENT_BYTES = 8 * 1024 * 1024  # small enough to give up singly at the cap, large enough to rotate seldom
RETRY_NS = 1_000_000_000  # a full disk costs one failing system call a second, not one a message
VERSION = 1
_SEGMENT_HEADER = struct.Struct("<4sBB10x")
_PREFIX = struct.Struct("<II")
_MOMENT = struct.Struct("<QQ")
_RECORD_HEADER = struct.Struct("<IIQQ")
_MAGIC = b"KMJ1"
_GAP_BIT = 0x8000_0000
HEADER_BYTES = _SEGMENT_HEADER.size
RECORD_HEADER_BYTES = _RECORD_HEADER.size


class JournalError(Exception):
    """A file that is no journal of this version: somebody else's, or a newer client's."""


class Record(NamedTuple):
    """One record: where it stands, when it was read, and its bytes; or, if `lost` is not empty, a gap."""

    offset: int
    end_offset: int
    monotonic_ns: int
    unix_ns: int
    payload: bytes
    lost: tuple[Loss, ...] = ()


def segment_name(direction: Direction, number: int) -> str:
    return f"{direction}-{number:08d}.kmj"


def segment_number(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def segment_header(direction: Direction) -> bytes:
    return _SEGMENT_HEADER.pack(_MAGIC, VERSION, DIRECTIONS.index(direction))


def encode_record(data: bytes | memoryview, monotonic_ns: int, unix_ns: int, *, flags: int = 0) -> bytes:
    """The bytes of one record."""
    moment = _MOMENT.pack(monotonic_ns, unix_ns)
    return b"".join((_PREFIX.pack(len(data) | flags, crc32(data, crc32(moment))), moment, data))


def encode_gap(lost: tuple[Loss, ...], monotonic_ns: int, unix_ns: int) -> bytes:
    """The bytes of a gap record."""
    return encode_record(losses.encode(lost), monotonic_ns, unix_ns, flags=_GAP_BIT)


class DirectionJournal:
    """The writer of one direction; only the thread that relays this direction calls it.

    `open_segment(direction, number)` makes a new segment file with its header and returns its descriptor, opened to
    append; it raises `OSError`. `on_change(journal)` is called after a loss, a recovery and a rotation, not otherwise.
    """

    def __init__(
        self,
        direction: Direction,
        open_segment: Callable[[Direction, int], int],
        on_change: Callable[[DirectionJournal], None],
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.direction = direction
        self.segments = 0
        self.records = 0
        self.payload_bytes = 0
        self.lost: tuple[Loss, ...] = ()
        self._untold: tuple[Loss, ...] = ()  # the part of `lost` that no gap record tells yet
        self._open_segment = open_segment
        self._on_change = on_change
        self._segment_bytes = segment_bytes
        self._fd = -1
        self._end = self._limit = 0
        self.failure: OSError | None = None  # why nothing is recorded now, if so
        self._retry_at_ns = 0

    def append(self, data: bytes | memoryview, monotonic_ns: int, unix_ns: int) -> None:
        """Record `data`, read at these moments; or count it as lost."""
        if self.failure and monotonic_ns < self._retry_at_ns:
            self._lose(len(data), self.failure)
            return
        record = encode_record(data, monotonic_ns, unix_ns)
        try:
            if self._end >= self._limit or self._untold:
                self._prepare(monotonic_ns, unix_ns)
            written = os.write(self._fd, record)
            if written < len(record):
                self._write(record[written:])
        except OSError as error:
            self._fail(error, monotonic_ns)
            self._lose(len(data), error)
        else:
            self._end += len(record)
            self.records += 1
            self.payload_bytes += len(data)

    def close(self) -> None:
        """Nothing will be appended any more."""
        self._abandon()

    def _prepare(self, monotonic_ns: int, unix_ns: int) -> None:
        """What must stand before the next record: a new segment, the gap since the last one, or both."""
        if self._end >= self._limit:
            self._rotate()
        if self._untold:
            gap = encode_gap(self._untold, monotonic_ns, unix_ns)
            self._write(gap)
            self._end += len(gap)
            self._untold = ()
            self.failure = None
            self._on_change(self)

    def _write(self, data: bytes) -> None:
        while data:  # a disk that filled up took a part; the next call tells why
            data = data[os.write(self._fd, data) :]

    def _rotate(self) -> None:
        try:
            fd = self._open_segment(self.direction, self.segments + 1)
        except OSError:
            if self._fd < 0:
                raise
            self._limit += self._segment_bytes  # the old segment still works: no reason to lose anything
            return
        self._abandon()
        self._fd, self._end, self._limit = fd, HEADER_BYTES, self._segment_bytes
        self.segments += 1
        self._on_change(self)

    def _fail(self, error: OSError, monotonic_ns: int) -> None:
        """Leave the segment as if the failed record had never been begun, or leave the segment."""
        self.failure = error
        self._retry_at_ns = monotonic_ns + RETRY_NS
        try:
            if self._fd >= 0:
                os.ftruncate(self._fd, self._end)
        except OSError:
            self._abandon()

    def _abandon(self) -> None:
        if self._fd >= 0:
            with contextlib.suppress(OSError):  # a late write error of a segment that is not used any more
                os.close(self._fd)
        self._fd, self._limit = -1, 0

    def _lose(self, size: int, error: OSError) -> None:
        loss = Loss(losses.reason_of(error), 1, size)
        self.lost = losses.total((*self.lost, loss))
        self._untold = losses.total((*self._untold, loss))
        self._on_change(self)


def read_segment(path: Path, offset: int = HEADER_BYTES) -> Iterator[Record]:
    """The records of a segment from `offset` on, which is where a record began or ended; stops at the first that is
    not whole, as the last one may be at any moment. A damaged record before a good one is reported as a gap.

    An offset past the end means that the segment was given up since (see `cap`): it is read from its start. Raises
    `JournalError` if this is no segment of a known version, `OSError` if it cannot be read.
    """
    with path.open("rb") as file:
        if not _check_header(file.read(HEADER_BYTES), path):
            return
        if offset > os.fstat(file.fileno()).st_size:
            offset = HEADER_BYTES
        while record := _read_record(file, offset) or _read_past_damage(file, offset):
            yield record
            offset = record.end_offset


def _read_record(file: BinaryIO, offset: int) -> Record | None:
    """The record at `offset`, or `None` if it is not there, not whole, or damaged."""
    file.seek(offset)
    header = file.read(RECORD_HEADER_BYTES)
    if len(header) < RECORD_HEADER_BYTES:
        return None
    length, checksum, monotonic_ns, unix_ns = _RECORD_HEADER.unpack(header)
    payload = file.read(length & ~_GAP_BIT)
    if crc32(payload, crc32(header[_PREFIX.size :])) != checksum:
        return None
    end_offset = offset + RECORD_HEADER_BYTES + len(payload)
    if length & _GAP_BIT:
        return Record(offset, end_offset, monotonic_ns, unix_ns, b"", losses.decode(payload))
    return Record(offset, end_offset, monotonic_ns, unix_ns, payload)


def _read_past_damage(file: BinaryIO, offset: int) -> Record | None:
    """A gap in place of a damaged record whose length still leads to a good one; the gap bears that one's moment."""
    file.seek(offset)
    header = file.read(_PREFIX.size)
    if len(header) < _PREFIX.size:
        return None
    size = _PREFIX.unpack(header)[0] & ~_GAP_BIT
    end_offset = offset + RECORD_HEADER_BYTES + size
    after = _read_record(file, end_offset)
    lost = (Loss("corrupt", 1, size),)
    return after and Record(offset, end_offset, after.monotonic_ns, after.unix_ns, b"", lost)


def _check_header(header: bytes, path: Path) -> bool:
    """Whether records may follow: a header may also be missing or torn, when the relay died as it made the file."""
    if len(header) < HEADER_BYTES:
        return False
    magic, version, _ = _SEGMENT_HEADER.unpack(header)
    if magic != _MAGIC or version != VERSION:
        raise JournalError(f"{path} is not a journal segment of version {VERSION}")
    return True
