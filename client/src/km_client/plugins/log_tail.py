"""The end of a plugin's log, and what comes after, across the rotation that `logs.py` does.

    tail = LogTail(path)
    tail.last(20)       the last twenty lines there are, of both files
    tail.more()         those that came since, oldest first; nothing if none did

A file that was moved aside meanwhile is read to its end before the new one is begun. Lines come as text whose control
characters are escaped, also if something other than the host wrote them.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

from km_client.output import printable


class LogTail:
    """Close it, or use it as a context."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""

    def __enter__(self) -> LogTail:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def last(self, count: int) -> list[str]:
        """Begin with the last `count` lines; both files together are 2 MiB at most."""
        self._open()
        older = self._before()
        lines = [*(printable_line(line) for line in older.split(b"\n") if line), *self._drain()]
        return lines[-count:] if count > 0 else []

    def more(self) -> list[str]:
        lines = self._drain()
        while self._has_moved():
            lines += self._drain()  # what was written between the last look and the move
            self._open()
            lines += self._drain()
        return lines

    def _open(self) -> None:
        self._close()
        with contextlib.suppress(FileNotFoundError):
            self._file = self._path.open("rb")

    def _close(self) -> None:
        if self._file:
            self._file.close()
        self._file, self._rest = None, b""

    def _before(self) -> bytes:
        """The file before this one. One that was moved there since this was opened is this one."""
        try:
            with self._path.with_name(self._path.name + ".1").open("rb") as file:
                is_same = self._file and os.path.samestat(os.fstat(file.fileno()), os.fstat(self._file.fileno()))
                return b"" if is_same else file.read()
        except FileNotFoundError:
            return b""

    def _has_moved(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return self._file is None or not os.path.samestat(there, os.fstat(self._file.fileno()))

    def _drain(self) -> list[str]:
        if self._file is None:
            return []
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [printable_line(line) for line in lines]


def printable_line(line: bytes) -> str:
    text = line.decode(errors="backslashreplace")
    return "\t".join(printable(part) for part in text.split("\t"))
