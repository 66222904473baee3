"""The events on this machine, redacted, for `km-client logs`: JSON lines as they are shipped, oldest given up first.

    log/events-00000001.jsonl   {"id":"019aa…","timestamp":"…","type":"request",…}

Only the agent writes, many lines at once; a line torn by `kill -9` is cut off when the log is opened again, and
`known_ids` tells which events stand there, so none is logged twice. Logging never stops shipping: what could not be
written is counted and left out. Messages over 64 KiB stand here as their first bytes.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from km_client import paths
from km_client.agent import endings
from km_client.agent.events import shortened

FILES = 8  # the log is given up in eighths
LINE_BYTES = 96 * 1024  # an event longer than this is shortened
MESSAGE_BYTES = 64 * 1024
KNOWN_BYTES = 32 * 1024 * 1024  # one chunk of 64 KiB may hold 32,000 one-byte lines, each an event of 400 bytes
ID_START = len(b'{"id":"')
ID_END = ID_START + 36


class LocalLog:
    """The writer. `lost` counts events that could not be written."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.lost = 0
        self._directory = directory
        self._file_bytes = max_bytes // FILES
        self._fd = -1
        self._size = 0

    def limit(self, max_bytes: int) -> None:
        """Let it grow to `max_bytes`; 0 writes nothing more."""
        self._file_bytes = max_bytes // FILES

    def write(self, events: Iterable[bytes]) -> None:
        """Append encoded events, one a line."""
        lines = deque(_line(event) for event in events)
        if not self._file_bytes:
            return
        try:
            while lines:
                self._open()
                self._append(lines)
        except OSError:
            self.lost += len(lines)
            self.close()

    def known_ids(self) -> set[str]:
        """The ids of the newest lines: of more than an agent writes between two checkpoints."""
        found: set[str] = set()
        looked_at = 0
        for path in reversed(log_files(self._directory)):
            if looked_at >= KNOWN_BYTES:
                break
            with contextlib.suppress(OSError):  # an unreadable log costs at most a line that stands there twice
                content = path.read_bytes()
                looked_at += len(content)
                whole_lines = content.split(b"\n")[:-1]
                found.update(line[ID_START:ID_END].decode("ascii", "replace") for line in whole_lines)
        return found

    def ended(self, session_id: str, *, local_only: bool) -> None:
        """Note that a journal is about to go, all of it shipped, or none. On a full disk it is not known later."""
        if self._file_bytes:
            with contextlib.suppress(OSError):
                endings.note(self._directory, session_id, local_only=local_only)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _open(self) -> None:
        if self._fd >= 0 and self._size < self._file_bytes:
            return
        self.close()
        files = log_files(self._directory)
        newest = files[-1] if files else self._directory / _name(1)
        if files and newest.stat().st_size >= self._file_bytes:
            newest = self._directory / _name(_number(newest) + 1)
        paths.make_private(self._directory)
        self._fd = os.open(newest, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = _without_torn_line(self._fd)
        for old in files[: max(0, len(files) + 1 - FILES)]:
            old.unlink(missing_ok=True)

    def _append(self, lines: deque[bytes]) -> None:
        """Write as many lines as this file takes, at once, and take those away from `lines`."""
        count, size = 0, 0
        while count < len(lines) and self._size + size < self._file_bytes:
            size += len(lines[count])
            count += 1
        data = b"".join(itertools.islice(lines, count))
        try:
            written = os.write(self._fd, data)
            while written < size:  # the disk filled up within the lines: the next call tells why
                written += os.write(self._fd, data[written:])
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += size
        for _ in range(count):
            lines.popleft()


def log_files(directory: Path) -> list[Path]:
    """The files of the log, oldest first."""
    return sorted(directory.glob("events-*.jsonl"), key=_number)


def read_lines(path: Path, offset: int = 0) -> Iterator[tuple[bytes, int]]:
    """The whole lines of one file from `offset` on, each with the offset after it."""
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield line[:-1], offset


def _line(event: bytes) -> bytes:
    return (shortened(event, MESSAGE_BYTES) if len(event) > LINE_BYTES else event) + b"\n"


def _without_torn_line(fd: int) -> int:
    """Cut off what follows the last line feed. Returns the size that is left."""
    size = os.fstat(fd).st_size
    step = 64 * 1024
    end = size
    while end > 0:
        start = max(0, end - step)
        os.lseek(fd, start, os.SEEK_SET)
        last = os.read(fd, end - start).rfind(b"\n")
        if last >= 0:
            end = start + last + 1
            break
        end = start
    if end < size:
        os.ftruncate(fd, end)
    return end


def _name(number: int) -> str:
    return f"events-{number:08d}.jsonl"


def _number(path: Path) -> int:
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0
