r"""One message as a page shows it: pretty and raw text, a hex dump of what is no text, and what is left out.

    of_preview(row)   a row of a list, whose message may be its first characters only
    of_whole(row)     the row `queries.event` gives, in full: one plain block, as a megabyte of coloured tokens
                      would stall the browser that asked for it

What tools say to agents is text inside JSON strings, one line with `\n` in it; `text` is that text with its lines.
All three come out escaped.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
from django.utils.safestring import SafeString

from dashboard import whole_text
from dashboard.json_tree import tree
from dashboard.json_view import hex_dump, pretty, visible
from events.rows import EventRow

HEX_BYTES = 2048  # 128 lines: enough to recognise a format by
MOST_UNSEEN = 2_000  # characters spelled out in a beginning, sixty characters of markup each, up to three times over
MOST_INDENTED = 256 * 1024  # characters that a beginning may grow to
_NOTHING = SafeString("")


@dataclass(frozen=True, slots=True)
class MessageView:
    """`pretty`, `tree` and `text` are blank where there is none. `is_whole`: nothing of what is stored is left out."""

    row: EventRow
    kind: Literal["json", "text", "bytes"]
    raw: SafeString
    pretty: SafeString = _NOTHING
    tree: SafeString = _NOTHING
    text: SafeString = _NOTHING
    is_whole: bool = True
    shown: int = 0  # bytes, when not whole
    whole_is_text: bool = True


class _Part(msgspec.Struct):
    text: str = ""


class _Prompt(msgspec.Struct):
    content: _Part | list[Any] = []


class _Texts(msgspec.Struct):
    """Where the results of MCP keep text for people and models."""

    content: list[_Part] = []
    contents: list[_Part] = []
    messages: list[_Prompt] = []


class _Result(msgspec.Struct):
    result: _Texts


_RESULT = msgspec.json.Decoder(_Result)


def of_preview(row: EventRow) -> MessageView:
    """What a list row holds of its message."""
    if row.is_base64:
        return _bytes_view(row)
    kind: Literal["json", "text"] = "json" if looks_like_json(row.message) else "text"
    raw, characters = whole_text.spelled_out(row.message, most=MOST_UNSEEN)
    is_whole = row.is_whole and characters == len(row.message)
    view = MessageView(row, kind, raw, is_whole=is_whole, shown=len(row.message[:characters].encode()))
    if kind == "text" or characters < len(row.message) or whole_text.longest(row.message) > MOST_INDENTED:
        return view
    said = visible("\n\n".join(_texts(row.message)))
    return replace(view, pretty=pretty(row.message), tree=tree(row.message), text=said)


def of_whole(row: EventRow) -> MessageView:
    """Everything stored of one message, indented if it is JSON."""
    if row.is_base64:
        return _bytes_view(row)
    if not looks_like_json(row.message):
        return _cut_where_nothing_shows(row, "text", row.message)
    return _cut_where_nothing_shows(row, "json", whole_text.laid_out(row.message))


def content(row: EventRow) -> bytes:
    """The bytes the message had on the wire."""
    return base64.b64decode(row.message) if row.is_base64 else row.message.encode()


def looks_like_json(text: str) -> bool:
    """Whether to lay it out as JSON: a JSON-RPC message is an object, or an array of them."""
    return text.lstrip()[:1] in ("{", "[")


def _bytes_view(row: EventRow) -> MessageView:
    whole_quads = row.message[: len(row.message) // 4 * 4]
    data = base64.b64decode(whole_quads)
    return MessageView(
        row,
        "bytes",
        raw=hex_dump(data[:HEX_BYTES]),
        is_whole=row.is_whole and len(data) <= HEX_BYTES,
        shown=min(len(data), HEX_BYTES),
        whole_is_text=False,
    )


def _texts(message: str) -> list[str]:
    """The texts of a result: of `content` (tools), `contents` (resources), `messages` (prompts); none if it is cut."""
    try:
        found = _RESULT.decode(message).result
    except (msgspec.DecodeError, RecursionError):
        return []
    parts = [*found.content, *found.contents, *(prompt.content for prompt in found.messages)]
    return [part.text for part in parts if isinstance(part, _Part) and part.text]


def _cut_where_nothing_shows(row: EventRow, kind: Literal["json", "text"], text: str) -> MessageView:
    """All of `text`, unless too much of it is characters that do not show: then its beginning, and the download."""
    shown = whole_text.spelled_out(text)
    is_whole = shown.characters == len(text)
    length = 0 if is_whole else len(text[: shown.characters].encode())
    return MessageView(row, kind, shown.markup, is_whole=is_whole, shown=length, whole_is_text=is_whole)
