"""A plugin's files here: written read-only from a package, and listed again to see whether they are the same.

extract(opened.archive, entry, directory / "main.py")     PayloadFile("…", size, sha256)
list(files(directory))                                    every file beneath it, with size and SHA-256
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from km_protocol.kmpkg.archive_format import PROGRAM_MODE, Entry
from km_protocol.kmpkg.archive_reader import ArchiveReader
from km_protocol.kmpkg.package import PayloadFile

_DATA_MODE, _PROGRAM_MODE = 0o400, 0o500  # read-only also to a plugin that no sandbox holds


def sha256_of(file: BufferedReader) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def files(top: Path, within: str = "") -> Iterator[PayloadFile]:
    """Every file beneath `top/within`; what is none gets a line that matches nothing."""
    with os.scandir(top / within) as found:
        entries = list(found)
    for entry in entries:
        name = f"{within}/{entry.name}" if within else entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from files(top, name)
        elif entry.is_file(follow_symlinks=False):
            with open(entry.path, "rb") as file:  # noqa: PTH123 - `scandir` gives strings
                yield PayloadFile(name, entry.stat().st_size, sha256_of(file))
        else:
            yield PayloadFile(name, 0, "")


def extract(archive: ArchiveReader, entry: Entry, name: str, directory: Path) -> PayloadFile:
    """As `name` in `directory`, which nobody else writes to: the reader vouches that the name leads nowhere else."""
    target = directory / name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = _PROGRAM_MODE if entry.mode == PROGRAM_MODE else _DATA_MODE
    with _created(target, mode) as out:
        sha256 = archive.copy(entry, out.write)
    return PayloadFile(name, entry.size, sha256)


def write(path: Path, data: bytes) -> None:
    with _created(path, _DATA_MODE) as out:
        out.write(data)


@contextmanager
def _created(path: Path, mode: int) -> Iterator[BinaryIO]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, mode), "wb") as out:  # noqa: PTH123 - an open descriptor
        yield out
