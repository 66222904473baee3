"""What became of the sessions whose journals are gone: shipped, or kept here by `--local-only`.

    log/ended.jsonl     {"session_id": "019aa3c2-…", "local_only": false}

The agent appends a line before it deletes a journal; of a file that has grown too large the older half goes. What is
not noted, as of sessions before there were notes, is not known.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from km_client import paths

FILE = "ended.jsonl"
MAX_BYTES = 1024 * 1024  # some ten thousand sessions


class _Ending(msgspec.Struct, frozen=True):
    session_id: str
    local_only: bool


def note(directory: Path, session_id: str, *, local_only: bool) -> None:
    """Append one. Raises `OSError`."""
    paths.make_private(directory)
    path = directory / FILE
    line = json.dumps({"session_id": session_id, "local_only": local_only}).encode() + b"\n"
    if path.exists() and path.stat().st_size + len(line) > MAX_BYTES:
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[len(lines) // 2 :]))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)


def read(directory: Path) -> dict[str, bool]:
    """Session id → whether nothing of it was ever shipped, the one that ended last at the end."""
    found: dict[str, bool] = {}
    for each in _noted(directory / FILE):
        found[each.session_id] = found.pop(each.session_id, True) and each.local_only
    return found


def _noted(path: Path) -> Iterator[_Ending]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):  # torn by a power cut
            yield msgspec.json.decode(line, type=_Ending)
