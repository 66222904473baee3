"""The `status` file of a session: 4,096 bytes, allocated once and updated in place, so a full disk cannot stop it.

    0      KMST | version u8 | state u8 | exit_code i16 | signal i16 | … | ended_at unix_ns u64 | crc32
    1024   request:   recorded records u64, bytes u64, then records and bytes lost for each of `REASONS` | crc32
    2048   response:  the same

The relay holds the file's lock while it lives: a session is over when the lock is free, however the relay ended. Each
region has one writer. Recorded counts are written at rotations and at the end; losses, at once.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from km_client.capture.journal import DIRECTIONS, DirectionJournal, JournalError
from km_client.capture.losses import REASONS, Loss

STATUS_BYTES = 4096  # one block of every usual file system
_VERSION = 1
_SESSION = struct.Struct("<4sBBhhxxxxxxQ")
_DIRECTION = struct.Struct(f"<QQ{2 * len(REASONS)}Q")
_CHECKSUM = struct.Struct("<I")
_REGION_BYTES = 1024
_MAGIC = b"KMST"
_RUNNING, _ENDED = 1, 2
_NONE = -1
_READ_TRIES = 3  # a read that meets a write in the middle sees neither: the next one does not


class DirectionStatus(NamedTuple):
    """Running totals of one direction since the session began."""

    recorded_records: int
    recorded_bytes: int
    lost: tuple[Loss, ...]


class Status(NamedTuple):
    """How a session stands. `ended` is false for one that runs and for one whose relay was killed."""

    ended: bool
    exit_code: int | None
    signal: int | None
    ended_at_unix_ns: int | None
    request: DirectionStatus
    response: DirectionStatus


def preallocate(fd: int) -> None:
    """Fill a new status file. Raises `OSError` if there is no room for it."""
    content = bytearray(STATUS_BYTES)
    _put(content, 0, _SESSION.pack(_MAGIC, _VERSION, _RUNNING, _NONE, _NONE, 0))
    for direction in DIRECTIONS:
        _put(content, _region(direction), _DIRECTION.pack(*[0] * (2 + 2 * len(REASONS))))
    written = 0
    while written < STATUS_BYTES:
        written += os.write(fd, content[written:])


def write_direction(fd: int, journal: DirectionJournal) -> None:
    """Update one direction's region. Raises `OSError`."""
    counts = {loss.reason: loss for loss in journal.lost}
    flat = [number for reason in REASONS for number in counts.get(reason, Loss(reason, 0, 0))[1:]]
    body = _DIRECTION.pack(journal.records, journal.payload_bytes, *flat)
    _write_at(fd, body + _CHECKSUM.pack(crc32(body)), _region(journal.direction))


def write_end(fd: int, exit_code: int | None, signal: int | None, unix_ns: int) -> None:
    """Say how the server ended. Raises `OSError`."""
    code, number = (_NONE if value is None else value for value in (exit_code, signal))
    body = _SESSION.pack(_MAGIC, _VERSION, _ENDED, code, number, unix_ns)
    _write_at(fd, body + _CHECKSUM.pack(crc32(body)), 0)


def read_status(path: Path) -> Status:
    """The status as it stands. Raises `JournalError` if this is no status file, `OSError` if it cannot be read."""
    for _ in range(_READ_TRIES):
        content = path.read_bytes()
        session = _get(content, 0, _SESSION)
        directions = [_get(content, _region(direction), _DIRECTION) for direction in DIRECTIONS]
        if session and all(directions) and session[:2] == (_MAGIC, _VERSION):
            return _status(session, *map(_direction_status, directions))
    raise JournalError(f"{path} is not a status file of version {_VERSION}")


def _status(session: tuple[Any, ...], request: DirectionStatus, response: DirectionStatus) -> Status:
    _, _, state, exit_code, signal, ended_at = session
    return Status(
        ended=state == _ENDED,
        exit_code=None if exit_code == _NONE else exit_code,
        signal=None if signal == _NONE else signal,
        ended_at_unix_ns=ended_at or None,
        request=request,
        response=response,
    )


def _direction_status(numbers: tuple[int, ...]) -> DirectionStatus:
    pairs = zip(REASONS, numbers[2::2], numbers[3::2], strict=True)
    lost = tuple(Loss(reason, records, size) for reason, records, size in pairs if records)
    return DirectionStatus(numbers[0], numbers[1], lost)


def _region(direction: str) -> int:
    return _REGION_BYTES * (1 + DIRECTIONS.index(direction))


if sys.platform == "win32":
    _one_at_a_time = threading.Lock()  # there is no `pwrite`, and the directions share the descriptor

    def _write_at(fd: int, data: bytes, offset: int) -> None:
        with _one_at_a_time:
            os.lseek(fd, offset, os.SEEK_SET)
            os.write(fd, data)

else:

    def _write_at(fd: int, data: bytes, offset: int) -> None:
        os.pwrite(fd, data, offset)


def _put(content: bytearray, offset: int, body: bytes) -> None:
    whole = body + _CHECKSUM.pack(crc32(body))
    content[offset : offset + len(whole)] = whole


def _get(content: bytes, offset: int, layout: struct.Struct) -> tuple[Any, ...]:
    """The numbers of a region, or nothing if it is not whole."""
    body = content[offset : offset + layout.size]
    checksum = content[offset + layout.size : offset + layout.size + _CHECKSUM.size]
    return layout.unpack(body) if checksum == _CHECKSUM.pack(crc32(body)) and len(body) == layout.size else ()
