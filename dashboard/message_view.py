r"""One message as a page shows it: pretty and raw text, a hex dump of what is no text, and what is left out.

    of_preview(row)   a row of a list, whose message may be its first characters only
    of_whole(row)     the row `queries.event` gives, in full: one plain block, as a megabyte of coloured tokens
                      would stall the browser that asked for it

What tools say to agents is text inside JSON strings, one line with `\n` in it; `text` is that text with its lines.
All three come out escaped.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from django.utils.safestring import SafeString

from dashboard.json_tree import tree
from dashboard.json_view import hex_dump, pretty, visible
from events.rows import EventRow

HEX_BYTES = 2048  # 128 lines: enough to recognise a format by
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
    raw = visible(row.message)
    shown = len(row.message.encode())
    if not looks_like_json(row.message):
        return MessageView(row, "text", raw, is_whole=row.is_whole, shown=shown)
    said = visible("\n\n".join(_texts(row.message)))
    return MessageView(
        row, "json", raw, pretty(row.message), tree(row.message), said, is_whole=row.is_whole, shown=shown
    )


def of_whole(row: EventRow) -> MessageView:
    """Everything stored of one message, indented if it is JSON."""
    if row.is_base64:
        return _bytes_view(row)
    kind: Literal["json", "text"] = "json" if looks_like_json(row.message) else "text"
    return MessageView(row, kind, visible(_indented(row.message)))


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


def _indented(text: str) -> str:
    """`text` with new white space between its tokens; as it is, if it is not JSON after all."""
    try:
        return msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, RecursionError):
        return text
