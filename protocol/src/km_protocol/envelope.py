"""The event: one JSON-RPC message as one side sent it, and what the monitor knows about it.

    {"id": "019aa…", "timestamp": "2026-11-22T15:40:00.123456Z", "type": "request", "direction": "request",
     "message": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "git_log"}},
     "session_id": "019aa…", "sequence": 3, "method": "tools/call", "tool": "git_log", "size": 91}

`message` keeps its bytes: a frame that is exactly one JSON value is embedded as it stands and never re-serialised;
any other text is a JSON string with `message_encoding: "text"`; bytes that are not UTF-8, or that hold U+0000 (which
PostgreSQL's text refuses), are base64 with `message_encoding: "base64"`.
Two of the names are the guide's and easy to misread: `direction` is `request` from client to server and `response`
from server to client, whatever the message is; `type` says what the message is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from km_protocol.errors import EventError

EventType = Literal["request", "response", "notification", "error"]
Direction = Literal["request", "response"]
MessageEncoding = Literal["json", "text", "base64"]

MAX_EVENTS_PER_BATCH = 2_000
MAX_BODY_BYTES = 32 * 1024 * 1024  # as it arrives, compressed or not
MAX_INFLATED_BYTES = 64 * 1024 * 1024  # after gzip or zstd: two 16 MiB messages in base64, with room
MAX_MESSAGE_BYTES = 16 * 1024 * 1024  # a longer message is sent as its first bytes with `truncated: true`
EARLIEST_EVENT = datetime(2024, 1, 1, tzinfo=UTC)  # before MCP existed: a clock that says so is wrong
MAX_CLOCK_AHEAD = timedelta(hours=24)  # generous to time zones set by hand, strict to a clock in 2100

ShortText = Annotated[str, msgspec.Meta(max_length=200)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Party(msgspec.Struct, omit_defaults=True):
    """A server or a client of MCP. `name` is stable for a session; `title` is what the program calls itself.
    `transport` is `http` of a server that is reached by HTTP, and goes on to what is exported alone.
    """

    name: ShortText = ""
    version: ShortText = ""
    title: ShortText = ""
    transport: ShortText = ""


class Event(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """One event on the wire (the guide's `StreamEvent` and what the monitor adds). Sizes in bytes, durations in ms."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    timestamp: Moment
    type: EventType
    direction: Direction
    message: msgspec.Raw
    correlation_id: ShortText | None = None
    server_info: Party | None = None
    client_info: Party | None = None
    session_id: Annotated[str, msgspec.Meta(max_length=128)] | None = None
    sequence: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    duration_ms: Annotated[float, msgspec.Meta(ge=0)] | None = None
    method: ShortText | None = None
    tool: ShortText | None = None
    is_error: bool | None = None  # absent: an error is what `type` says is one
    size: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    message_encoding: MessageEncoding = "json"
    truncated: bool = False


class EventBatch(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /api/events` takes; a lone `Event` is also taken."""

    events: Annotated[list[Event], msgspec.Meta(max_length=MAX_EVENTS_PER_BATCH)]


def message_text(event: Event) -> tuple[str, bool]:
    """The message as the text to store, and whether that text is base64 of bytes that no text column can hold.

    Raises `EventError` on invalid UTF-8, bad base64, or a message over `MAX_MESSAGE_BYTES`.
    """
    if event.message_encoding == "json":
        try:
            text = bytes(event.message).decode()
        except UnicodeDecodeError as error:
            raise EventError(
                f"`message` is not UTF-8 at byte {error.start}", 'send such a message with `message_encoding: "base64"`'
            ) from None
        return _within_limit(text, len(event.message)), False
    try:
        text = msgspec.json.decode(event.message, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EventError(f"`message` must be a JSON string when `message_encoding` is set: {error}") from None
    if event.message_encoding == "base64":
        return _checked_base64(text), True
    if "\0" in text or not _encodable(text):
        raise EventError(
            "`message` holds U+0000 or a lone surrogate, which text storage refuses",
            'send such a message with `message_encoding: "base64"`',
        )
    return _within_limit(text, len(event.message)), False


def check_timestamp(moment: datetime, *, now: datetime) -> None:
    """Refuse a moment no correct clock could have written. Raises `EventError`."""
    if moment < EARLIEST_EVENT or moment > now + MAX_CLOCK_AHEAD:
        raise EventError(
            f"`timestamp` {moment.isoformat()} is not between {EARLIEST_EVENT.date()} and a day from now",
            "set the clock of the machine that recorded the event, then send it again",
        )


def uuid7(unix_ms: int, tail: bytes) -> UUID:
    """A UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 bits from `tail` (at least 10 bytes)."""
    rand = int.from_bytes(tail[:10], "big")
    return UUID(int=(unix_ms & (2**48 - 1)) << 80 | 0x7 << 76 | (rand >> 68) << 64 | 0b10 << 62 | rand & (2**62 - 1))


def stored_id(customer_id: int, event_id: str, moment: datetime) -> UUID:
    """The id an event is stored under: the same for every retry, leading with its time so that ids sort by time.

    A UUIDv7 that agrees with the event's own time is kept. Any other id, from a foreign client, is replaced by one
    derived from (customer, id, timestamp).
    """
    unix_ms = unix_milliseconds(moment)
    try:
        given = UUID(event_id)
    except ValueError:
        given = None
    if given is not None and given.version == 7 and abs((given.int >> 80) - unix_ms) <= 1:
        return given
    digest = hashlib.blake2b(f"{customer_id}\0{event_id}\0{moment.isoformat()}".encode("utf-8", "surrogatepass"))
    return uuid7(unix_ms, digest.digest())


def unix_milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970, exact (no float on the way), floored."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def decode_events(body: bytes) -> Sequence[Event | EventError]:
    """Decode a request body: one event or `{"events": […]}`. A bad event becomes an `EventError` in its place.

    Raises `EventError` when the body as a whole is not JSON, not of either shape, or holds too many events.
    """
    try:
        return _BATCH.decode(body).events
    except _BROKEN:
        # Not only what breaks the schema: a lone surrogate or deep nesting in one event makes the whole no JSON.
        raws = raw_events(body)
    return [_decode_one(raw) for raw in ([body] if raws is None else raws)]


def raw_events(body: bytes) -> Sequence[bytes | msgspec.Raw] | None:
    """The events of a batch, each undecoded, or `None` when the body is one event alone.

    Raises `EventError` when the body is neither. An event that is no JSON by itself does not hide the others.
    """
    try:
        loose = _LOOSE.decode(body).events
    except _BROKEN as error:
        raws = _elements(body)
        if raws is None:
            raise EventError(
                f"the body is neither an event nor a batch of events: {str(error) or 'nested too deeply'}",
                'send one event object, or {"events": […]}, in UTF-8 JSON',
            ) from None
        return _counted(raws)
    return None if isinstance(loose, msgspec.UnsetType) else _counted(loose)


_BATCH = msgspec.json.Decoder(EventBatch)
_EVENT = msgspec.json.Decoder(Event)
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_MAX_TOKENS = 500_000  # half a second; 2,000 messages of 600 bytes have 80,000
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.?)*+(?:"|\Z)|[][{},]', re.DOTALL)  # `\Z`: an open string is read once


class _Loose(msgspec.Struct):
    """Either shape, undecoded: tells which one a body has."""

    events: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET


_LOOSE = msgspec.json.Decoder(_Loose)


def _counted(raws: Sequence[bytes | msgspec.Raw]) -> Sequence[bytes | msgspec.Raw]:
    if len(raws) > MAX_EVENTS_PER_BATCH:
        raise EventError(
            f"a batch holds at most {MAX_EVENTS_PER_BATCH} events, this one has {len(raws)}", "send it in parts"
        )
    return raws


def _elements(body: bytes) -> list[bytes] | None:
    """The elements of the array `events`, found by brackets and quotes alone; `None` when they do not match up.

    For a body a JSON decoder refuses: it does not recurse, and looks into no element. It gives up on a body of more
    brackets and quotes than a full batch of real messages has.
    """
    depth, begin, before = 0, -1, b""
    elements: list[bytes] = []
    for match in islice(_TOKEN.finditer(body), _MAX_TOKENS):
        token = match.group()
        ends_element = begin >= 0 and depth == 2 and token in (b",", b"]")
        if ends_element:
            elements.append(body[begin : match.start()].strip())
            begin = match.end()
        if token == b"]" and ends_element:
            return elements if elements != [b""] else []
        if token in (b"[", b"{"):
            depth += 1
            if depth == 2 and token == b"[" and before == b'"events"':
                begin = match.end()
        elif token in (b"]", b"}"):
            depth -= 1
        before = token
    return None


def _decode_one(raw: bytes | msgspec.Raw) -> Event | EventError:
    try:
        return _EVENT.decode(raw)
    except RecursionError:
        return EventError("the event is nested too deeply", 'send its message with `message_encoding: "text"`')
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return EventError(str(error))


def _checked_base64(text: str) -> str:
    try:
        size = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise EventError(f"`message` is not base64: {error}") from None
    return _within_limit(text, size)


def _within_limit(text: str, size: int) -> str:
    if size > MAX_MESSAGE_BYTES:
        raise EventError(
            f"`message` has {size} bytes; at most {MAX_MESSAGE_BYTES} are stored",
            "send its first bytes with `truncated: true` and the whole length in `size`",
        )
    return text


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
