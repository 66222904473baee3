"""Submitted source as a reviewer may look at it: decoded, with nothing invisible left invisible.

    with opened(revision.source) as source:
        excerpt(source, "main.py", 14)     → (…, Line(14, "eval(code)", is_here=True), …)
    visible("if x:\\u202e # admin")        → "if x:⟨U+202E⟩ # admin"

Text is data here; whoever puts it on a page escapes it. What cannot be read as text is said to be so.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple, cast

from km_protocol.kmpkg.archive_format import Entry
from km_protocol.kmpkg.source_archive import SourceArchive, open_source

from plugins_registry.models import Source

MAX_TEXT_BYTES = 512 * 1024  # a longer file was made by a program; it is named, not shown
MAX_LINE_CHARACTERS = 400
CONTEXT_LINES = 3
_HIDDEN_CATEGORIES = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
_TAB = "    "
_LINE_END = re.compile(r"\r?\n")


class Line(NamedTuple):
    """One line of a file, from 1. `is_here`: the one that is meant."""

    number: int
    text: str
    is_here: bool = False


@contextmanager
def opened(source: Source) -> Iterator[SourceArchive]:
    """The archive as it was submitted. Raises what `open_source` does, and `OSError` when storage has lost it."""
    with source.file.storage.open(str(source.file.name), "rb") as file:
        assert file.file is not None  # it was just opened
        yield open_source(cast(BinaryIO, file.file))


def text_of(source: SourceArchive, entry: Entry) -> str | None:
    """The file as text; `None` when it is too long or no UTF-8."""
    if entry.size > MAX_TEXT_BYTES:
        return None
    data = source.archive.read(entry)
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def lines(text: str) -> list[str]:
    """Split where editors do; a form feed or U+2028 within a line is part of it, and shown."""
    split = _LINE_END.split(text)
    return split[:-1] if split[-1] == "" else split


def excerpt(source: SourceArchive, path: str, line: int) -> tuple[Line, ...]:
    """The line with its neighbours; nothing when the file or the line is not there."""
    entry = next((each for each in source.entries if each.name == path), None)
    text = text_of(source, entry) if entry is not None else None
    if text is None:
        return ()
    all_lines = lines(text)
    if not 1 <= line <= len(all_lines):
        return ()
    first = max(1, line - CONTEXT_LINES)
    shown = all_lines[first - 1 : line + CONTEXT_LINES]
    return tuple(Line(number, visible(each), number == line) for number, each in enumerate(shown, first))


def visible(text: str) -> str:
    """`text` with every character that a page would hide, or let steer its neighbours, as its code point."""
    cut = text[:MAX_LINE_CHARACTERS] + (" …" if len(text) > MAX_LINE_CHARACTERS else "")
    return "".join(_shown(each) for each in cut)


def _shown(character: str) -> str:
    if character == "\t":
        return _TAB
    hidden = unicodedata.category(character) in _HIDDEN_CATEGORIES
    return f"⟨U+{ord(character):04X}⟩" if hidden else character
