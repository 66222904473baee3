"""What changed between two sources, file by file, for whoever reviews the later one and for its author.

    between(old, new)  → [FileChange("main.py", "changed", 3, 1, "--- a/main.py…"), …]

Files are compared by their SHA-256, never by the checksums of the archive, which an author could make equal. Text that
is too long to read in a browser, or is no text, is named and counted, not shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from km_protocol.kmpkg.archive_format import Entry
from km_protocol.kmpkg.source_archive import SourceArchive

from plugins_registry import source_pages
from plugins_registry.models import Source

MAX_SHOWN_BYTES = 256 * 1024  # of one file; generated code, mostly
MAX_DIFF_BYTES = 2 * 1024 * 1024  # of all of them: past that, nobody reads it in a browser

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class FileChange:
    """`added` and `removed` count lines. `diff` is a unified one, empty where it is not `shown`."""

    file: str
    kind: Kind
    added: int = 0
    removed: int = 0
    diff: str = ""
    shown: bool = True


def between(old: Source | None, new: Source) -> list[FileChange]:
    """Sorted by file. Without `old`, every file of `new` was added."""
    with ExitStack() as files:
        before = files.enter_context(source_pages.opened(old)) if old else None
        after = files.enter_context(source_pages.opened(new))
        return list(_within_bounds(_changes(before, after)))


def _changes(old: SourceArchive | None, new: SourceArchive) -> Iterator[FileChange]:
    before = {entry.name: entry for entry in old.entries} if old else {}
    after = {entry.name: entry for entry in new.entries}
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if old and one and other and old.archive.copy(one) == new.archive.copy(other):
            continue
        kind: Kind = "changed" if one and other else "added" if other else "removed"
        yield _change(name, kind, _lines(old, one), _lines(new, other))


def _change(name: str, kind: Kind, before: list[str] | None, after: list[str] | None) -> FileChange:
    if before is None or after is None:
        return FileChange(name, kind, shown=False)
    lines = list(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm=""))
    added = sum(line.startswith("+") for line in lines[2:])
    removed = sum(line.startswith("-") for line in lines[2:])
    return FileChange(name, kind, added, removed, "\n".join(lines))


def _lines(source: SourceArchive | None, entry: Entry | None) -> list[str] | None:
    """`None` for what is no text a person reads."""
    if source is None or entry is None:
        return []
    if entry.size > MAX_SHOWN_BYTES:
        return None
    data = source.archive.read(entry)
    try:
        return None if b"\0" in data else data.decode().split("\n")
    except UnicodeDecodeError:
        return None


def _within_bounds(changes: Iterator[FileChange]) -> Iterator[FileChange]:
    left = MAX_DIFF_BYTES
    for change in changes:
        left -= len(change.diff)
        cut = left < 0 and change.diff
        yield FileChange(change.file, change.kind, change.added, change.removed, shown=False) if cut else change
