"""The submitted files, read without following a link and without believing a size.

tree = SourceTree(Path("/srv/…/source"))
[file.name for file in tree.files]          ["LICENSE", "main.py", "manifest.json"]
tree.text("main.py")                        "import json\n…", or "" when it is no text
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from km_protocol.kmpkg.limits import LIMITS

MOST_TEXT_BYTES = 2 * 1024 * 1024  # of one file; what is longer is reported, not read
VENDOR = "vendor/"
TESTS = "tests/"
PYTHON = (".py", ".pyw", ".pyi")
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class SourceFile:
    """`name` with forward slashes. `mode` as lstat(2) says."""

    name: str
    size: int
    mode: int

    @property
    def is_plain(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_vendored(self) -> bool:
        """Another's code, brought along. Python has no such place: what lies there can be imported like any other."""
        return self.name.startswith(VENDOR) and not self.name.endswith(PYTHON)

    @property
    def is_test(self) -> bool:
        """Never part of a package: of Python the directory, of Go, which builds `tests/` like any other, the files."""
        return self.name.endswith("_test.go") if self.name.endswith(".go") else self.name.startswith(TESTS)


class SourceTree:
    """`is_whole` is false when there were more files than a package may have; then not all were listed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.is_whole = True

    @cached_property
    def files(self) -> tuple[SourceFile, ...]:
        """Everything that is not a directory, sorted by name."""
        found: list[SourceFile] = []
        for file in self._walk(""):
            if len(found) >= LIMITS.entries:
                self.is_whole = False
                break
            found.append(file)
        return tuple(sorted(found, key=lambda file: file.name))

    def named(self, *suffixes: str, own: bool = True) -> list[SourceFile]:
        """Plain files that end so; `own`: without those of others."""
        chosen = (file for file in self.files if file.is_plain and file.name.endswith(suffixes))
        return [file for file in chosen if not (own and file.is_vendored)]

    def has(self, name: str) -> bool:
        return any(file.name == name and file.is_plain for file in self.files)

    def read(self, name: str, most: int = MOST_TEXT_BYTES) -> bytes:
        """Its first `most` bytes. Raises `OSError`, also for a link."""
        descriptor = os.open(self.root / name, _READ_FLAGS)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(most)

    def text(self, name: str) -> str:
        """What it says, when it is text in UTF-8; else an empty string."""
        data = self.read(name)
        if b"\0" in data:
            return ""
        return data.decode("utf-8", errors="replace")

    def _walk(self, within: str) -> Iterator[SourceFile]:
        with os.scandir(self.root / within) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            name = f"{within}/{entry.name}" if within else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(name)
            else:
                facts = entry.stat(follow_symlinks=False)
                yield SourceFile(name, facts.st_size, facts.st_mode)


def line_of(text: str, number: int) -> str:
    """The words of line `number`, counted from 1; lines end as Python and Go end them."""
    lines = text.split("\n")
    return lines[number - 1] if 0 < number <= len(lines) else ""
