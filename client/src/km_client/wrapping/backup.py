"""What a file was before it was wrapped: a copy that a person can use, and a record of each entry.

    <data directory>/wrapping/<16 characters of the hash of the path>/mcp.json.3f2a…     the file without our wrapping
                                                                      record.json        whose it is, and every `Undo`

Both are for their owner's eyes only: a configuration may hold keys. They are removed when the file is unwrapped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from km_client import paths
from km_client.atomic_file import replace_file
from km_client.wrapping.plan import Undo

RECORD = "record.json"


class Record(msgspec.Struct, frozen=True):
    """One wrapped file. Hashes are SHA-256 in hex; `copy` is the name of the file beside the record."""

    version: int
    client: str
    path: str
    copy: str
    before: str
    after: str
    undo: list[Undo]


def directory(path: Path) -> Path:
    """Where the copy and the record of this file are; `path` is the file itself, not a link to it."""
    return paths.wrapping_dir() / hashlib.sha256(str(path).encode(errors="surrogateescape")).hexdigest()[:16]


def keep(path: Path, client: str, before: bytes, after: bytes, undo: Sequence[Undo]) -> Path:
    """Write both, the copy first; returns the copy's place. Raises `ClientError`."""
    place, digest = directory(path), _digest(before)
    copy = place / f"{path.name}.{digest[:12]}"
    replace_file(copy, before, mode=0o600)
    record = Record(1, client, str(path), copy.name, digest, _digest(after), list(undo))
    # Not by msgspec: a path may hold bytes that are no text, and a name half of a surrogate pair.
    replace_file(place / RECORD, json.dumps(msgspec.to_builtins(record), indent=2).encode(), mode=0o600)
    with contextlib.suppress(OSError):  # of copies that are needed no more
        for other in place.iterdir():
            if other.name not in (copy.name, RECORD) and not other.name.startswith("."):  # half of what another writes
                other.unlink(missing_ok=True)
    return copy


def find(path: Path) -> Record | None:
    """The record of this file, if there is one that can be read."""
    return _read(directory(path))


def original(path: Path, record: Record, data: bytes) -> bytes | None:
    """The very bytes from before, if `data` is what we left there."""
    if _digest(data) != record.after:
        return None
    try:
        content = (directory(path) / record.copy).read_bytes()
    except OSError:  # then the entries say enough
        return None
    return content if _digest(content) == record.before else None


def forget(path: Path) -> None:
    """Remove both: the file is what it was."""
    shutil.rmtree(directory(path), ignore_errors=True)


def every() -> Iterator[Record]:
    """The records of all files that are wrapped."""
    for place in sorted(paths.wrapping_dir().glob("*")):
        if record := _read(place):
            yield record


def _read(place: Path) -> Record | None:
    try:
        return msgspec.convert(json.loads((place / RECORD).read_bytes()), type=Record)
    except (OSError, ValueError, msgspec.ValidationError):
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
