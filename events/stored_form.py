"""An accepted body as the rows it becomes: what the store holds of an event, worked out in one place.

    for event in stored_form(entry): ...      # store.NewEvent

Pure apart from reading its argument. What a client left out is read from the message where that is cheap (the method,
the tool); a `sequence` it left out becomes the event's microsecond, so that a session is always in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
from km_protocol.envelope import Event, Party, message_text, stored_id
from km_protocol.errors import EventError

from events import bodies, formats
from events.models import InboxEntry
from events.store import NewEvent, PartyNames

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME_CHARACTERS = 200  # the columns of `method` and `tool`
_NOBODY: PartyNames = ("", "", "")
_CALL = "tools/call"


class Unstorable(Exception):
    """An acknowledged body no longer decodes to what was acknowledged."""


class _Params(msgspec.Struct):
    name: str = ""


class _Call(msgspec.Struct):
    """As much of a request as names it."""

    method: str = ""


class _ToolCall(msgspec.Struct):
    params: _Params = msgspec.field(default_factory=_Params)


_CALL_DECODER = msgspec.json.Decoder(_Call)
_TOOL_DECODER = msgspec.json.Decoder(_ToolCall)


def stored_form(entry: InboxEntry) -> Iterator[NewEvent]:
    """The accepted events of `entry`. Raises `Unstorable`, or whatever decoding a broken body raises."""
    text = bodies.inflate(bytes(entry.body), bodies.encoding_named(entry.encoding))
    skipped = {int(index) for index in entry.skipped.split(",") if index}
    for index, event in enumerate(formats.decode(entry.kind, text)):
        if index in skipped:
            continue
        if isinstance(event, EventError):
            raise Unstorable(f"event {index} was accepted, and is refused now: {event}")
        yield _row(entry.customer_id, event)


def _row(customer_id: int, event: Event) -> NewEvent:
    message, is_base64 = message_text(event)
    moment = event.timestamp.astimezone(UTC)
    method, tool = _names(event)
    return NewEvent(
        customer_id=customer_id,
        id=stored_id(customer_id, event.id, event.timestamp),
        correlation_id=event.correlation_id or "",
        timestamp=moment,
        type=event.type,
        direction=event.direction,
        method=method,
        tool=tool,
        session_id=event.session_id or "",
        sequence=event.sequence if event.sequence is not None else (moment - _EPOCH) // timedelta(microseconds=1),
        duration_ms=event.duration_ms,
        is_error=event.type == "error" if event.is_error is None else event.is_error,
        size=event.size if event.size is not None else _size(message, is_base64=is_base64),
        server=_party(event.server_info),
        client=_party(event.client_info),
        is_base64=is_base64,
        truncated=event.truncated,
        message=message,
        over_http=event.server_info is not None and event.server_info.transport == "http",
    )


def _names(event: Event) -> tuple[str, str]:
    """Method and tool: as sent, or else as the message has them."""
    method, tool = event.method or "", event.tool or ""
    if event.message_encoding != "json" or event.type not in {"request", "notification"}:
        return method, tool
    try:
        method = method or _stored_name(_CALL_DECODER.decode(event.message).method)
        if method == _CALL and not tool:
            tool = _stored_name(_TOOL_DECODER.decode(event.message).params.name)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return method, tool  # a message that is not JSON-RPC has no method, and is an event all the same
    return method, tool


def _stored_name(name: str) -> str:
    return name.replace("\0", "�")[:_NAME_CHARACTERS]


def _size(message: str, *, is_base64: bool) -> int:
    if is_base64:
        return len(message) * 3 // 4 - message[-2:].count("=")
    return len(message.encode())


def _party(party: Party | None) -> PartyNames:
    return _NOBODY if party is None else (party.name, party.version, party.title)
