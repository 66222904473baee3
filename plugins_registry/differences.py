"""What changed between two sources, file by file, for whoever reviews the later one and for its author.

    between(old, new)  → [FileChange("main.py", "changed", 3, 1, "--- a/main.py…"), …]

Files are compared by their SHA-256, never by the checksums of the archive, which an author could make equal. Text that
is too long to read in a browser, or would take too long to compare, or is no text, is named and counted, not shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Literal

from km_protocol.kmpkg.archive_format import Entry
from km_protocol.kmpkg.source_archive import SourceArchive

from plugins_registry import source_pages
from plugins_registry.line_differences import Budget, TooCostlyError, unified
from plugins_registry.models import Source

MAX_SHOWN_BYTES = 256 * 1024  # of one file; generated code, mostly
MAX_COMPARED_LINES = 2_000  # of one file, either before or after
MAX_DIFF_BYTES = 2 * 1024 * 1024  # of all of them: past that, nobody reads it in a browser
_DIGITS = 12

Kind = Literal["added", "removed", "changed"]
Text = list[str] | None  # `None` for what is no text a person reads


@dataclass(frozen=True, slots=True)
class FileChange:
    """`added` and `removed` count lines. `diff` is a unified one, empty where it is not `shown`; `note` says why."""

    file: str
    kind: Kind
    added: int = 0
    removed: int = 0
    diff: str = ""
    shown: bool = True
    note: str = ""


def between(old: Source | None, new: Source) -> list[FileChange]:
    """Sorted by file. Without `old`, every file of `new` was added."""
    with ExitStack() as files:
        before = files.enter_context(source_pages.opened(old)) if old else None
        after = files.enter_context(source_pages.opened(new))
        return list(_within_bounds(_changes(before, after)))


def _changes(old: SourceArchive | None, new: SourceArchive) -> Iterator[FileChange]:
    before = {entry.name: entry for entry in old.entries} if old else {}
    after = {entry.name: entry for entry in new.entries}
    budget = Budget()
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        sums = [archive.archive.copy(entry) for archive, entry in ((old, one), (new, other)) if archive and entry]
        if len(sums) == 2 and sums[0] == sums[1]:
            continue
        kind: Kind = "changed" if one and other else "added" if other else "removed"
        yield _change(name, kind, _lines(old, one), _lines(new, other), sums, budget)


def _change(name: str, kind: Kind, before: Text, after: Text, sums: list[str], budget: Budget) -> FileChange:
    if before is None or after is None:
        return FileChange(name, kind, shown=False)
    try:
        if before and after and max(len(before), len(after)) > MAX_COMPARED_LINES:
            raise TooCostlyError
        lines = unified(before, after, f"a/{name}", f"b/{name}", budget)
    except TooCostlyError:
        return FileChange(name, kind, shown=False, note=_too_long(before, after, sums))
    added = sum(line.startswith("+") for line in lines[2:])
    removed = sum(line.startswith("-") for line in lines[2:])
    return FileChange(name, kind, added, removed, "\n".join(lines))


def _too_long(before: list[str], after: list[str], sums: list[str]) -> str:
    digests = " → ".join(f"{each[:_DIGITS]}…" for each in sums)
    counts = f"{len(before):,} → {len(after):,} lines, SHA-256 {digests}"
    return f"too long to compare line by line; {counts}: compare the two source archives"


def _lines(source: SourceArchive | None, entry: Entry | None) -> Text:
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
        yield replace(change, diff="", shown=False) if left < 0 and change.diff else change
