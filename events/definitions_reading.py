r"""What a message says about a server's tools: definitions, cursors; pure.

    page_of(event)      → Page(tools=[Definition("git_log", "9f86d081…", '{"description":…}', 212, False)], next="")
    asked_for(event)    → "": the cursor a `tools/list` asks with, as a digest; blank for the beginning

A definition is what a model reads and a person approves a tool by: title, description, schemas, annotations. Two are
the same when their canonical JSON is: keys sorted, no space, 1.0 written 1, everything beyond ASCII escaped. A lone
surrogate, which Python has no JSON for though JavaScript does, is read as the six characters of its escape: `\ud83d`.

The shape is that of every revision of MCP (`ListToolsResult`), with `resultType` since 2026-07-28.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Any, NamedTuple

import msgspec

from events.store import NewEvent

LIST = "tools/list"
ANNOUNCED = "notifications/tools/list_changed"
MAX_MESSAGE_CHARACTERS = 6 * 1024 * 1024  # some 10,000 tools at their longest; read in 0.1 s
MAX_TOOLS = 10_000  # of one list, and of one server
MAX_KEPT_BYTES = 256 * 1024  # of one definition; of a longer one the beginning is kept, and the digest is of all
MAX_BEGINNING_CHARACTERS = 16 * 1024
MAX_NAME_CHARACTERS = 200
_METHODS = frozenset({LIST, ANNOUNCED})
_LOOKED_AT = 256  # characters of an answer whose method its client did not say
_LONGEST_EXACT = 20  # digits of an integer that is read as one
_ESCAPES = re.compile(r"\\[^u]|\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|\\u([dD][89a-fA-F]\w\w)")
_NONE = msgspec.Raw(b"")


class Definition(NamedTuple):
    """One tool as a list had it. `size` in bytes; `body` is JSON, the beginning of it where `is_cut`."""

    name: str
    digest: str
    body: str
    size: int
    is_cut: bool


class Page(NamedTuple):
    """An answer. `next` is the digest of the cursor it goes on at, blank at the end; `left_out` is said of the rest."""

    tools: list[Definition]
    next: str
    left_out: str = ""


class Unreadable(Exception):
    """A list that cannot be believed; the words say why."""


class _Tool(msgspec.Struct):
    name: msgspec.Raw
    title: msgspec.Raw = _NONE
    description: msgspec.Raw = _NONE
    inputSchema: msgspec.Raw = _NONE
    outputSchema: msgspec.Raw = _NONE
    annotations: msgspec.Raw = _NONE


class _Result(msgspec.Struct):
    tools: list[_Tool] | None = None
    cursor: Any = msgspec.field(default=None, name="nextCursor")
    kind: Any = msgspec.field(default=None, name="resultType")


class _Answer(msgspec.Struct):
    result: _Result | None = None


class _Params(msgspec.Struct):
    cursor: Any = None


class _Request(msgspec.Struct):
    params: _Params | None = None


_ANSWER, _REQUEST = msgspec.json.Decoder(_Answer), msgspec.json.Decoder(_Request)
_KEYS = tuple(name for name in _Tool.__struct_fields__ if name != "name")


def is_about_tools(event: NewEvent) -> bool:
    """Whether it is worth reading: by its method, or, where a client says none with an answer, by how it begins."""
    if event.method:
        return event.method in _METHODS
    return event.type == "response" and '"tools":' in event.message[:_LOOKED_AT]


def asked_for(event: NewEvent) -> str:
    """The cursor of a `tools/list` request. Raises `Unreadable`."""
    request = _decode(_REQUEST, event)
    return _cursor(request.params.cursor if request.params else None)


def page_of(event: NewEvent) -> Page | None:
    """The tools of an answer; `None` where it lists none. Raises `Unreadable`."""
    result = _decode(_ANSWER, event).result
    if result is None or result.tools is None or result.kind not in (None, "complete"):
        return None
    more = len(result.tools) - MAX_TOOLS
    tools = [found for found in map(_definition, result.tools[:MAX_TOOLS]) if found is not None]
    return Page(tools, _cursor(result.cursor), f"it has {more:,} tools more than {MAX_TOOLS:,}" if more > 0 else "")


def _decode(decoder: msgspec.json.Decoder[Any], event: NewEvent) -> Any:
    if event.truncated or len(event.message) > MAX_MESSAGE_CHARACTERS:
        raise Unreadable(f"only its beginning could be read: it has {event.size:,} bytes")
    if event.is_base64:
        raise Unreadable("it is not UTF-8 text")
    try:
        return _tolerant(decoder, event.message)
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise Unreadable(f"it is no list of tools: {error}"[:MAX_NAME_CHARACTERS]) from None


def _tolerant(decoder: msgspec.json.Decoder[Any], text: str) -> Any:
    try:
        return decoder.decode(text)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return decoder.decode(_ESCAPES.sub(_spelled, text))


def _spelled(match: re.Match[str]) -> str:
    return rf"\\u{match[1]}" if match[1] else match[0]


def _cursor(value: Any) -> str:
    """A cursor is the server's own affair, of any length."""
    return "" if value is None else hashlib.blake2b(_canonical(value).encode(), digest_size=16).hexdigest()


def _definition(tool: _Tool) -> Definition | None:
    """`None` for what has no name to call it by."""
    name = _read(tool.name) if len(tool.name) <= MAX_KEPT_BYTES else None
    if not isinstance(name, str) or not name:
        return None
    raw = {key: getattr(tool, key) for key in _KEYS}
    size = sum(len(each) for each in raw.values())
    body = _body(raw) if size <= MAX_KEPT_BYTES else None
    is_cut = body is None
    whole = body if body is not None else "\0".join(bytes(each).decode() for each in raw.values())
    digest = hashlib.sha256(whole.encode()).hexdigest()
    shown = _beginning(raw) if body is None else body
    return Definition(name.replace("\0", "�")[:MAX_NAME_CHARACTERS], digest, shown, size, is_cut)


def _body(raw: dict[str, msgspec.Raw]) -> str | None:
    """The canonical JSON; `None` for what is nested too deeply."""
    try:
        fields = {key: _read(value) for key, value in raw.items() if len(value)}
        return _canonical({key: value for key, value in fields.items() if value is not None})
    except RecursionError:
        return None


def _beginning(raw: dict[str, msgspec.Raw]) -> str:
    """What is kept of a definition that is too large: its words, as far as they go."""
    words = {key: _read(raw[key]) for key in ("title", "description") if bytes(raw[key]).startswith(b'"')}
    return _canonical({key: value[:MAX_BEGINNING_CHARACTERS] for key, value in words.items()})


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _read(raw: msgspec.Raw) -> Any:
    return json.loads(bytes(raw), parse_float=_fraction, parse_int=_whole)


def _fraction(text: str) -> int | float | str:
    value = float(text)
    if math.isinf(value):
        return text
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= _LONGEST_EXACT else text
