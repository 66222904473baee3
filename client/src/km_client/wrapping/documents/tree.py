"""What the three readers give: values with their place in the text. Places are counted in characters, from 0.

    {"a": ["x"]}        a table with the member `a`: its key from 1 to 4, its value, a list, from 6 to 11

A `flow` value stands in brackets and has commas between its parts; the others have a line for each part.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

DEPTH = 150  # of values within values: deeper than any configuration, and well within Python's own limit

DOTTED = "dotted"  # the text of a table of TOML that has no place of its own

Way = tuple[str, ...]  # the keys that lead to a value; "*" stands for any
ALL: tuple[Way, ...] = ((),)  # the way to a value that is reached: all of it is wanted

Kind = Literal["table", "list", "text", "other"]


class ParseError(Exception):
    """Text that is not what it should be; line and column count from 1."""

    def __init__(self, what: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {what}")
        self.line, self.column = line, column

    @classmethod
    def at(cls, text: str, place: int, what: str) -> ParseError:
        """The error at a place of the text."""
        return cls(what, text.count("\n", 0, place) + 1, place - (text.rfind("\n", 0, place) + 1) + 1)


class OverlapError(ValueError):
    """Two edits of the same characters."""


@dataclass(slots=True)
class Node:
    """A value from `start` to before `end`. `text` is what a text says; of any `other` value, as it is written."""

    kind: Kind
    start: int
    end: int
    text: str = ""
    flow: bool = True
    members: Sequence[Member] = ()
    items: Sequence[Node] = ()

    def get(self, name: str) -> Member | None:
        """The last member of this name: the one that counts for most readers."""
        return next((member for member in reversed(self.members) if member.key == name), None)

    def twice(self) -> set[str]:
        """The names that more than one member has."""
        return {name for name, count in Counter(member.key for member in self.members).items() if count > 1}

    def values(self) -> Iterator[Node]:
        yield from self.items
        for member in self.members:
            yield member.node


class Member(NamedTuple):
    """A key and its value. `start` is where its statement begins: before the tables of a dotted key of TOML."""

    key: str
    start: int
    key_start: int
    key_end: int
    node: Node


def onward(ways: Sequence[Way], key: str) -> list[Way]:
    """What is left of the ways that go by this key."""
    return [way[1:] for way in ways if way and way[0] in ("*", key)]


class Edit(NamedTuple):
    """Put `text` in place of the characters from `start` to before `end`."""

    start: int
    end: int
    text: str


def apply(text: str, edits: Sequence[Edit]) -> str:
    """`text` with all `edits` made. They may touch; raises `OverlapError` where two overlap."""
    pieces, done = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < done:
            raise OverlapError(f"edits overlap at {edit.start}")
        pieces += [text[done : edit.start], edit.text]
        done = edit.end
    return "".join([*pieces, text[done:]])


def line_start(text: str, place: int) -> int:
    return text.rfind("\n", 0, place) + 1


def line_end(text: str, place: int) -> int:
    """Where the line of `place` ends, before its newline."""
    end = _NEWLINE.search(text, place)
    return end.start() if end else len(text)


def newline(text: str) -> str:
    """The newline of this document."""
    return "\r\n" if "\r\n" in text else "\n"


_NEWLINE = re.compile(r"\r?\n")
