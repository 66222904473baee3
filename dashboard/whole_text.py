"""A whole message as one block, however it was made: some megabytes of text stay some megabytes of page.

    laid_out('{"id":1}')          → '{\\n  "id": 1\\n}'; as it was sent where that would not stay in proportion
    spelled_out(text)             → Shown(markup, characters), all of it or as much as a browser can lay out

A hundred thousand numbers nine hundred lists deep are ninety megabytes of indentation, and each character that does not
show is sixty characters of markup. Who makes such a message has it shown as it was sent, or its beginning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import accumulate, islice
from typing import NamedTuple

import msgspec
from django.utils.html import escape
from django.utils.safestring import SafeString
from km_protocol.unseen import UNSEEN

from dashboard.json_view import INDENT, has_unseen, visible

MAX_CHARACTERS = 32 * 1024 * 1024  # twice the longest message that is stored
MAX_UNSEEN = 20_000  # a megabyte of markup
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)  # possessive: one pass, whatever it holds
_OPENS, _CLOSES = "[{", "]}"
_STEP = dict.fromkeys(_OPENS, 1) | dict.fromkeys(_CLOSES, -1)


class Shown(NamedTuple):
    """`markup` is escaped, and of the first `characters` of a text."""

    markup: SafeString
    characters: int


def laid_out(text: str) -> str:
    """`text` with new white space between its tokens; as it is, if it is not JSON or would be too long."""
    if at_most(text) > MAX_CHARACTERS and longest(text) > MAX_CHARACTERS:
        return text
    try:
        return msgspec.json.format(text, indent=len(INDENT))
    except (msgspec.DecodeError, RecursionError):
        return text


def at_most(text: str) -> int:
    """`longest`, for JSON, or more: what is inside of strings counts too, so it takes a tenth of the time. Far more
    only where there are many lists and objects."""
    opens, commas = text.count("[") + text.count("{"), text.count(",")
    return len(text) + (commas + 2 * opens) * (len(INDENT) * opens + 1) + commas + opens


def longest(text: str) -> int:
    """How many characters `text` can become, indented: an upper bound."""
    bare = _STRING.sub("", text)
    marks = re.sub(r"[^\[\]{}]", "", bare)
    depth = max(0, max(_depths(marks), default=0))
    lines = bare.count(",") + len(marks)
    return len(text) + lines * (len(INDENT) * depth + 1) + bare.count(":")


def spelled_out(text: str, *, most: int = MAX_UNSEEN) -> Shown:
    """`text` with the characters that do not show spelled out, up to `most` of them."""
    if not has_unseen(text):
        return Shown(escape(text), len(text))
    past = next(islice(UNSEEN.finditer(text), most, None), None)
    end = past.start() if past else len(text)
    return Shown(visible(text[:end]), end)


def _depths(marks: str) -> Iterable[int]:
    return accumulate(_STEP[mark] for mark in marks)
