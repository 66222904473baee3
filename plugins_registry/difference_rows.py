"""A unified diff as the rows of a page: numbered, nothing invisible in them, no more than a page can hold.

    shown(between(old, new)).changes[0].rows   → (Row("@", None, None, "@@ -1,4 +1,5 @@"), Row(" ", 1, 1, "import os"))

The diff is text that an author wrote most of: only a line's first character is ours, and it alone says what a row is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from plugins_registry.differences import FileChange
from plugins_registry.source_pages import visible

MAX_FILE_ROWS = 1_000
MAX_ROWS = 6_000  # a page of 1.5 MB; the whole is in the source archive
MAX_FILES = 400
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@", re.ASCII)
_HEADER_LINES = 2  # `---` and `+++`


class Row(NamedTuple):
    """`sign`: `+`, `-`, a space, or `@` between two places. Numbers count from 1, `None` where the line is not."""

    sign: str
    before: int | None
    after: int | None
    text: str


@dataclass(frozen=True, slots=True)
class ShownChange:
    """`note` says why lines are missing, where they are."""

    file: str
    kind: str
    added: int
    removed: int
    rows: tuple[Row, ...]
    note: str


class Shown(NamedTuple):
    """`hidden` counts the changed files that a page does not hold."""

    changes: list[ShownChange]
    hidden: int


def shown(changes: Sequence[FileChange]) -> Shown:
    """What was vendored comes last, so that the author's own code is what a page is filled with."""
    result: list[ShownChange] = []
    left = MAX_ROWS
    for change in sorted(changes, key=lambda each: (each.file.startswith("vendor/"), each.file)):
        if len(result) == MAX_FILES or left <= 0:
            break
        result.append(_shown(change))
        left -= len(result[-1].rows)
    return Shown(result, len(changes) - len(result))


def _shown(change: FileChange) -> ShownChange:
    rows = tuple(islice(_rows(change.diff), MAX_FILE_ROWS))
    lines = change.diff.count("\n") + 1 - _HEADER_LINES
    note = ""
    if not change.shown:
        note = change.note or "no text, or too long to show: read it in the source archive"
    elif lines > len(rows):
        note = f"the first {len(rows):,} of {lines:,} lines: the rest is in the source archive"
    elif not rows:
        note = "empty"
    return ShownChange(change.file, change.kind, change.added, change.removed, rows, note)


def _rows(diff: str) -> Iterator[Row]:
    before = after = 0
    for line in diff.split("\n")[_HEADER_LINES:]:
        sign, text = line[:1], line[1:]
        if sign == "@":
            match = _HUNK.match(line)
            before, after = (int(match[1]), int(match[2])) if match else (0, 0)
            yield Row("@", None, None, visible(line))
            continue
        yield Row(sign, before if sign != "+" else None, after if sign != "-" else None, visible(text))
        before += sign != "+"
        after += sign != "-"
