"""Edits of one value, in the manner its neighbours are written: their indentation, their newlines, their brackets.

{"args": [            Pen(syntax, text).replace_head(args, 0, ["monitor", "--"])      {"args": [
  "-y"                                                                                  "monitor",
]}                                                                                      "--",
                                                                                        "-y"
                                                                                      ]}
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from km_client.wrapping.documents import Syntax
from km_client.wrapping.documents.tree import Edit, Member, Node, line_end, line_start, newline

_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def literal(value: str) -> str:
    """`value` in quotation marks, as JSON, TOML and YAML all read it."""
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def array(values: Sequence[str]) -> str:
    """A list in brackets, as all three read it."""
    return f"[{', '.join(map(literal, values))}]"


class Pen(NamedTuple):
    """What the edits of one text have in common."""

    syntax: Syntax
    text: str

    def set_text(self, node: Node, value: str) -> Edit:
        """Say `value` instead."""
        return Edit(node.start, node.end, literal(value))

    def mapping(self, values: Mapping[str, str]) -> str:
        """A table in brackets: of texts."""
        between = " = " if self.syntax.name == "toml" else ": "
        return "{" + ", ".join(f"{literal(key)}{between}{literal(value)}" for key, value in values.items()) + "}"

    def replace_head(self, name: Member, count: int, values: Sequence[str]) -> list[Edit]:
        """Put `values` in place of the first `count` items of a list."""
        if not count and not values:
            return []
        return [self._flow_head(name.node, count, values) if name.node.flow else self._block_head(name, count, values)]

    def _flow_head(self, node: Node, count: int, values: Sequence[str]) -> Edit:
        if not node.items:
            return Edit(node.start + 1, node.start + 1, array(values)[1:-1])
        if not values and count == len(node.items):
            return Edit(node.start + 1, node.end - 1, "")
        start = node.items[0].start
        joint = "," + (self._break_before(start) or " ")
        if count < len(node.items):
            return Edit(start, node.items[count].start, "".join(literal(value) + joint for value in values))
        return Edit(start, node.items[-1].end, joint.join(map(literal, values)))

    def _block_head(self, name: Member, count: int, values: Sequence[str]) -> Edit:
        node = name.node
        start, last = node.start, node.items[-1].end
        if not values and count == len(node.items):
            return Edit(self.text.index(":", name.key_end) + 1, last, " []")
        joint = newline(self.text) + " " * (start - line_start(self.text, start))
        items = [f"- {literal(value)}" for value in values]
        if count == len(node.items):
            return Edit(start, last, joint.join(items))
        # The dash of the first item that stays: nothing but it, white space and comments stands before the item.
        dash = self.text.rfind("-", start, node.items[count].start)
        return Edit(start, dash, "".join(item + joint for item in items))

    def insert_after(self, table: Node, member: Member, name: str, value: str) -> Edit:
        """A new member behind another: its value as it is to be written."""
        place = member.node.end if table.flow else line_end(self.text, member.node.end)
        return Edit(place, place, self._joint(table, member) + self._statement(member, name, value))

    def replace_member(self, table: Node, member: Member, values: Mapping[str, str]) -> Edit:
        """Other members, name → value as it is to be written, in place of one."""
        joint = self._joint(table, member)
        written = joint.join(self._statement(member, name, value) for name, value in values.items())
        return Edit(member.start, member.node.end, written)

    def insert_first(self, name: Member, values: Mapping[str, str]) -> Edit:
        """New members, texts, before those that a table has: what is changed after them does not move them."""
        node = name.node
        if not node.members:
            if node.flow:
                return Edit(node.start + 1, node.start + 1, self.mapping(values)[1:-1])
            lines = [newline(self.text) + self.syntax.assign(key) + literal(value) for key, value in values.items()]
            end = line_end(self.text, node.end)
            return Edit(end, end, "".join(lines))
        first = node.members[0]
        joint = self._joint(node, first)
        written = [self._statement(first, key, literal(value)) + joint for key, value in values.items()]
        return Edit(first.start, first.start, "".join(written))

    def remove_members(self, table: Node, members: Sequence[Member]) -> list[Edit]:
        """Members, and what divides them from the others: one of a table in brackets has to stay."""
        if not table.flow:
            return [self._without_lines(member) for member in members]
        gone = {member.start for member in members}
        first = next(at for at, member in enumerate(table.members) if member.start not in gone)
        return [
            Edit(member.start, table.members[at + 1].start, "")
            if at < first
            else Edit(table.members[at - 1].node.end, member.node.end, "")
            for at, member in enumerate(table.members)
            if member.start in gone
        ]

    def _without_lines(self, member: Member) -> Edit:
        start = line_start(self.text, member.start)
        before = len(self.text[:start].removesuffix("\n").removesuffix("\r"))
        return Edit(before, line_end(self.text, member.node.end), "")

    def _joint(self, table: Node, member: Member) -> str:
        """What stands between this member and one that follows it."""
        if table.flow:
            return "," + (self._break_before(member.start) or " ")
        return self._break_before(member.start)

    def _break_before(self, place: int) -> str:
        """A newline and the indentation, if this place begins a line; else nothing."""
        indentation = self.text[line_start(self.text, place) : place]
        return "" if indentation.strip(" \t") else newline(self.text) + indentation

    def _statement(self, member: Member, name: str, value: str) -> str:
        """`name` and its value, in the same table as `member`: below the same dotted key."""
        return self.text[member.start : member.key_start] + self.syntax.assign(name) + value
