"""Events a server will never take, each with the reason: kept for a person to look at, never deleted by the client.

    refused/019aa….jsonl   {"at":"…","code":"invalid_event","message":"…","hint":"…","event":{…}}

One file per run. An event that is refused again after a crash is kept once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from km_client import paths


class Refusal(msgspec.Struct, frozen=True):
    """Why a server refused one event."""

    id: str
    code: str
    message: str
    hint: str = ""


class Refused(NamedTuple):
    """One event and why."""

    refusal: Refusal
    event: bytes


class _Entry(msgspec.Struct):
    at: datetime
    code: str
    message: str
    hint: str
    event: msgspec.Raw


class _Known(msgspec.Struct):
    event: _Id


class _Id(msgspec.Struct):
    id: str


class RefusalStore:
    """The directory. Not for two threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[str, set[str]] = {}

    def keep(self, run: str, refused: Iterable[Refused], *, at: datetime) -> int:
        """Write down what is not yet there; how many that were. Raises `OSError`: then it is not acknowledged yet."""
        known = self._ids(run)
        new = [one for one in refused if one.refusal.id not in known]
        if not new:
            return 0
        lines = b"".join(msgspec.json.encode(_entry(one, at)) + b"\n" for one in new)
        paths.make_private(self._directory)
        fd = os.open(self._path(run), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(fd, "ab") as file:
            file.write(lines if _ends_whole(self._path(run)) else b"\n" + lines)
        known.update(one.refusal.id for one in new)
        return len(new)

    def _ids(self, run: str) -> set[str]:
        if run not in self._known:
            self._known[run] = set(_ids_in(self._path(run)))
        return self._known[run]

    def _path(self, run: str) -> Path:
        return self._directory / f"{run}.jsonl"


def _entry(refused: Refused, at: datetime) -> _Entry:
    refusal = refused.refusal
    return _Entry(at, refusal.code, refusal.message, refusal.hint, msgspec.Raw(refused.event))


def _ends_whole(path: Path) -> bool:
    """Whether the last line has its line feed: a crash or a full disk may have torn it."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read() in {b"", b"\n"}


def _ids_in(path: Path) -> Iterable[str]:
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            yield msgspec.json.decode(line, type=_Known).event.id
        except msgspec.DecodeError:
            continue  # torn: its event comes again


def count(directory: Path) -> int:
    """How many refused events are kept."""
    files = directory.glob("*.jsonl") if directory.is_dir() else ()
    return sum(1 for path in files for line in path.read_bytes().splitlines() if line)
