"""YAML, by the events of PyYAML's parser: they say where each value stands, and nothing is constructed from them.

    extensions:                 a table with a line for each member
      files:
        cmd: npx                a text from after the colon to the line's end
        args: [-y, server]      a list in brackets

What a plain scalar means is read by YAML 1.2's core schema, as the programs do that keep such files: `no` is a text.
An alias, `*name`, is a value of its own kind, so no edit reaches the value it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from yaml.events import (
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from km_client.wrapping.documents.tree import DEPTH, Member, Node, ParseError, Way

# Written in C where PyYAML was built with libyaml, which is some forty times faster.
_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOT_TEXT = re.compile(
    r"|~|null|Null|NULL|true|True|TRUE|false|False|FALSE|[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


def parse(text: str, roots: Sequence[Way]) -> Node:  # noqa: ARG001 - such files are small: all is read
    """The document's value; an empty document is an empty table."""
    try:
        return _Reader(text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "not YAML"
        raise ParseError(what, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1) from None
    except yaml.reader.ReaderError as error:
        raise ParseError.at(text, error.position, error.reason) from None


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.events: Iterator[Event] = yaml.parse(text, Loader=_LOADER)

    def document(self) -> Node:
        found = None
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                if found is not None:
                    raise ParseError.at(self.text, _place(event.start_mark), "a second document in one file")
                found = self._value(next(self.events), 0)
        return found or Node("table", 0, 0, flow=False)

    def _value(self, event: Event, depth: int) -> Node:
        start, end = _place(event.start_mark), _place(event.end_mark)
        if depth > DEPTH:
            raise ParseError.at(self.text, start, f"more than {DEPTH} values within each other")
        if isinstance(event, ScalarEvent):
            return self._scalar(event, start, end)
        if isinstance(event, SequenceStartEvent):
            return self._list(event, start, depth + 1)
        if isinstance(event, MappingStartEvent):
            return self._table(event, start, depth + 1)
        return Node("other", start, end, self.text[start:end])  # an alias

    def _scalar(self, event: ScalarEvent, start: int, end: int) -> Node:
        end = start + len(self.text[start:end].rstrip(" \t\r\n"))  # a block scalar's ends with the newlines after it
        is_plain = event.style in (None, "")
        if event.tag or event.anchor or (is_plain and _NOT_TEXT.fullmatch(event.value)):
            return Node("other", start, end, self.text[start:end])
        return Node("text", start, end, event.value)

    def _list(self, opening: SequenceStartEvent, start: int, depth: int) -> Node:
        items = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            items.append(self._value(event, depth))
        end = self._end(opening, event, [item.end for item in items], start)
        return Node("list", start, end, flow=bool(opening.flow_style), items=items)

    def _table(self, opening: MappingStartEvent, start: int, depth: int) -> Node:
        members = []
        while not isinstance(event := next(self.events), MappingEndEvent):
            key = self._value(event, depth)
            value = self._value(next(self.events), depth)
            name = key.text if key.kind in ("text", "other") else self.text[key.start : key.end]
            members.append(Member(name, key.start, key.start, key.end, value))
        end = self._end(opening, event, [member.node.end for member in members], start)
        return Node("table", start, end, flow=bool(opening.flow_style), members=members)

    def _end(self, opening: Event, closing: Event, ends: list[int], start: int) -> int:
        """The closing bracket, or the end of the last part: the parser's own is the begin of whatever follows."""
        if getattr(opening, "flow_style", False):
            return _place(closing.end_mark)
        return max(ends, default=start)


def _place(mark: Any) -> int:
    """The character at which a mark stands: both parsers set one for every event."""
    return int(mark.index)
