"""TOML 1.0: `tomllib` says whether the text is right and what a string means, this reader where everything stands.

    [mcp_servers.files]         a table with the members `command`, from this line's end to the next table's
    command = "npx"

    mcp_servers.files.command = "npx"      the same; the member begins where the line does, its key after the last dot

It reads only text that `tomllib` has accepted, so it need not find mistakes, only ends.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import cast

from km_client.wrapping.documents.tree import DOTTED, Member, Node, ParseError, Way

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2}(?!"))|' r"'''.*?'''(?:'{0,2}(?!'))|" r'"(?:[^"\\\n]|\\.)*"|' r"'[^'\n]*'",
    re.DOTALL,
)
_OTHER = re.compile(r"[^,\]}#\r\n]+")
_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")


def parse(text: str, roots: Sequence[Way]) -> Node:  # noqa: ARG001 - such files are small: all is read
    """The document's table."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _located(text, str(error)) from None
    except RecursionError:
        raise ParseError("too many values within each other", 1, 1) from None
    return _Reader(text).document()


def _located(text: str, said: str) -> ParseError:
    place = _PLACE.search(said)
    if place is None:
        return ParseError.at(text, len(text), said.removesuffix(" (at end of document)"))
    return ParseError(said[: place.start()].strip(), int(place[1]), int(place[2]))


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.root = _table(0, len(text))
        self.known: dict[tuple[int, str], Member] = {}  # by the table's identity: what it has of this name

    def document(self) -> Node:
        table, tables = self.root, [self.root]
        place = self._blank(0)
        while place < len(self.text):
            if self.text[place] == "[":
                table, tables, place = self._header(place)
            else:
                place = self._statement(place, table)
                for open_table in tables:
                    open_table.end = max(open_table.end, place)
            place = self._blank(place)
        return self.root

    def _header(self, start: int) -> tuple[Node, list[Node], int]:
        """`[a.b]` or `[[a.b]]`: the table that follows, those it stands in, and the place after the header."""
        width = 2 if self.text.startswith("[[", start) else 1
        keys, end = self._keys(start + width)
        end += width
        table, path = self.root, []
        for number, (key, key_start, key_end) in enumerate(keys):
            is_new = width == 2 and number == len(keys) - 1
            table = self._into(table, Member(key, start, key_start, key_end, _table(start, end)), fresh=is_new)
            table.end = max(table.end, end)
            path.append(table)
        return table, path, end

    def _into(self, table: Node, member: Member, *, fresh: bool = False) -> Node:
        """The table of this name in `table`, made if there is none; of an array the last, or a `fresh` one."""
        known = self.known.get((id(table), member.key))
        if known is None:
            if fresh:
                listed = Node("list", member.start, member.node.end, flow=False, items=[member.node])
                self._add(table, member._replace(node=listed))
            else:
                self._add(table, member)
            return member.node
        if known.node.kind != "list":
            return known.node
        if fresh:
            cast(list[Node], known.node.items).append(member.node)
        return known.node.items[-1]

    def _statement(self, start: int, table: Node) -> int:
        """`a.b = value`: where it ends."""
        keys, equals = self._keys(start)
        node = self._value(self._skip(_SPACE, equals + 1))
        within = [table]
        for key, key_start, key_end in keys[:-1]:
            table = self._into(table, Member(key, start, key_start, key_end, _dotted(start, node.end)))
            within.append(table)
        for outer in within:
            outer.end = max(outer.end, node.end)
        key, key_start, key_end = keys[-1]
        self._add(table, Member(key, start, key_start, key_end, node))
        return node.end

    def _add(self, table: Node, member: Member) -> None:
        self.known[id(table), member.key] = member
        cast(list[Member], table.members).append(member)

    def _keys(self, place: int) -> tuple[list[tuple[str, int, int]], int]:
        """The parts of a dotted key, each with its place, and the place of what follows it."""
        parts = []
        while True:
            place = self._skip(_SPACE, place)
            end = self._skip(_KEY, place)
            raw = self.text[place:end]
            said = self._said(raw) if raw[0] in "\"'" else raw
            parts.append((said, place, end))
            place = self._skip(_SPACE, end)
            if self.text[place] != ".":
                return parts, place
            place += 1

    def _value(self, start: int) -> Node:
        first = self.text[start]
        if first == "[":
            return self._list(start)
        if first == "{":
            return self._inline(start)
        if first in "\"'":
            end = self._skip(_STRING, start)
            return Node("text", start, end, self._said(self.text[start:end]))
        end = self._skip(_OTHER, start)
        raw = self.text[start:end].rstrip(" \t")
        return Node("other", start, start + len(raw), raw)

    def _list(self, start: int) -> Node:
        items = []
        place = self._blank(start + 1)
        while self.text[place] != "]":
            items.append(self._value(place))
            place = self._blank(items[-1].end)
            if self.text[place] == ",":
                place = self._blank(place + 1)
        return Node("list", start, place + 1, items=items)

    def _inline(self, start: int) -> Node:
        table = _table(start, start, flow=True)
        place = self._blank(start + 1)
        while self.text[place] != "}":
            place = self._blank(self._statement(place, table))
            if self.text[place] == ",":
                place = self._blank(place + 1)
        table.end = place + 1
        return table

    def _said(self, raw: str) -> str:
        return cast(str, tomllib.loads(f"said = {raw}")["said"])

    def _blank(self, place: int) -> int:
        return self._skip(_BLANK, place)

    def _skip(self, pattern: re.Pattern[str], place: int) -> int:
        found = pattern.match(self.text, place)
        return found.end() if found else place


def _table(start: int, end: int, *, flow: bool = False) -> Node:
    return Node("table", start, end, flow=flow, members=[])


def _dotted(start: int, end: int) -> Node:
    """A table that the keys of statements make, which need not stand together."""
    return Node("table", start, end, DOTTED, flow=False, members=[])
