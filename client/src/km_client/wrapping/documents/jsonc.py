"""JSON (RFC 8259), with what programs for people add to it: `//` and `/* */`, and a comma after the last part.

    parse('{"a": 1, // one\\n}', [("a",)]) → a table with the member `a`

A file may hold megabytes that matter to nobody here, such as a program's history. What no root leads to is checked, by
the standard library where it is plain JSON, and is one value of the kind `other`, with all its characters.

Whether the program that owns the file takes those freedoms is its own affair: nothing here adds one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import NoReturn

from km_client.wrapping.documents.tree import ALL, DEPTH, Member, Node, ParseError, Way, onward


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # `NaN` and its like, which JSON does not have


_BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_TEXT = re.compile(r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"')
_OTHER = re.compile(r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)(?![\w.+-])")
_PLAIN = json.JSONDecoder(parse_constant=_refuse)
_CLOSING = {"{": "}", "[": "]"}


def parse(text: str, roots: Sequence[Way]) -> Node:
    """The document's value; an empty document is an empty table, as a program finds it that has not written yet."""
    reader = _Reader(text)
    start = reader.blank(0)
    if start == len(text):
        return Node("table", start, start)
    found = reader.part(start, 0, roots)
    rest = reader.blank(found.end)
    if rest != len(text):
        raise ParseError.at(text, rest, "the document goes on after its end")
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text

    def blank(self, place: int) -> int:
        """The next place that is neither white space nor a comment."""
        found = _BLANK.match(self.text, place)
        return found.end() if found else place

    def part(self, place: int, depth: int, ways: Sequence[Way]) -> Node:
        """A value that some of `ways` lead to: all of it where one ends here, nothing of it where there is none."""
        if () in ways:
            return self.value(place, depth)
        if ways and self.text[place : place + 1] == "{":
            return self._parts(place, "{", depth + 1, ways)
        end = self._end_of_plain(place) or self.value(place, depth).end
        return Node("other", place, end, self.text[place:end])

    def _end_of_plain(self, place: int) -> int | None:
        try:
            return _PLAIN.raw_decode(self.text, place)[1]
        except (ValueError, RecursionError):  # not plain, or not right: that is for `value` to say
            return None

    def value(self, place: int, depth: int) -> Node:
        first = self.text[place : place + 1]
        if first in _CLOSING:
            if depth >= DEPTH:
                raise ParseError.at(self.text, place, f"more than {DEPTH} values within each other")
            return self._parts(place, first, depth + 1)
        if first == '"':
            end, said = self._string(place)
            return Node("text", place, end, said)
        other = _OTHER.match(self.text, place)
        if other is None:
            raise self._unexpected(place, "a value")
        return Node("other", place, other.end(), other[0])

    def _parts(self, start: int, opening: str, depth: int, ways: Sequence[Way] = ALL) -> Node:
        """What stands between brackets."""
        members: list[Member] = []
        items: list[Node] = []
        closing = _CLOSING[opening]
        place = self.blank(start + 1)
        while self.text[place : place + 1] != closing:
            if opening == "{":
                members.append(self._member(place, depth, ways))
                end = members[-1].node.end
            else:
                items.append(self.value(place, depth))
                end = items[-1].end
            place = self.blank(end)
            if self.text[place : place + 1] == ",":
                place = self.blank(place + 1)
            elif self.text[place : place + 1] != closing:
                raise self._unexpected(place, f"`,` or `{closing}`")
        return Node("table" if opening == "{" else "list", start, place + 1, members=members, items=items)

    def _member(self, place: int, depth: int, ways: Sequence[Way]) -> Member:
        start = place
        if self.text[place : place + 1] != '"':
            raise self._unexpected(place, "a key in quotation marks")
        end, key = self._string(place)
        colon = self.blank(end)
        if self.text[colon : colon + 1] != ":":
            raise self._unexpected(colon, "`:`")
        place, below = self.blank(colon + 1), ALL if ways is ALL else onward(ways, key)
        return Member(key, start, start, end, self.part(place, depth, below))

    def _string(self, place: int) -> tuple[int, str]:
        """Where the string ends, and what it says."""
        found = _TEXT.match(self.text, place)
        if found is None:
            raise ParseError.at(self.text, place, "a string that does not end, or holds what JSON has to escape")
        said = json.loads(found[0]) if "\\" in found[0] else found[0][1:-1]
        return found.end(), said

    def _unexpected(self, place: int, wanted: str) -> ParseError:
        if self.text.startswith("/*", place):
            return ParseError.at(self.text, place, "a comment that does not end")
        found = f"`{self.text[place]}`" if place < len(self.text) else "the end of the file"
        return ParseError.at(self.text, place, f"{found} where {wanted} should be")
