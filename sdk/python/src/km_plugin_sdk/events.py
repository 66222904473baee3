"""The event a plugin is handed: one JSON-RPC message as one side sent it, and what the monitor knows about it.

    StreamEvent(id="019aa…", type="request", direction="request", method="tools/call", tool="git_log",
                message=b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"git_log"}}', …)

`direction` is who sent it (`request`: client to server, `response`: server to client) whatever the message is; `type`
says what it is (`request`, `response`, `notification`, `error`). `message` are the bytes themselves: usually JSON, but
a server may print anything, so `event.json()` can fail.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
from km_protocol import envelope

from km_plugin_sdk.wire import plugin_pb2

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RAW = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True, slots=True)
class Party:
    """A server or a client of MCP. `name` is stable for a session; `title` is what the program calls itself."""

    name: str = ""
    version: str = ""
    title: str = ""


@dataclass(slots=True)
class StreamEvent:
    """The guide's event and what the monitor adds. Durations in ms, sizes in bytes, `sequence` from 1."""

    id: str
    timestamp: datetime
    type: str
    direction: str
    message: bytes
    correlation_id: str = ""
    server_info: Party = field(default_factory=Party)
    client_info: Party = field(default_factory=Party)
    session_id: str = ""
    sequence: int = 0
    duration_ms: float | None = None
    method: str = ""
    tool: str = ""
    is_error: bool = False
    size: int = 0
    truncated: bool = False

    def json(self) -> Any:
        """The message as Python values. Raises `ValueError` when it is not JSON or was cut."""
        return json.loads(self.message)


def from_message(event: plugin_pb2.StreamEvent) -> StreamEvent:
    """The event a protobuf message holds."""
    moment = event.timestamp
    return StreamEvent(
        event.id,
        _EPOCH + timedelta(seconds=moment.seconds, microseconds=moment.nanos // 1000),
        event.type,
        event.direction,
        event.message,
        event.correlation_id,
        _party(event.server_info),
        _party(event.client_info),
        event.session_id,
        event.sequence,
        event.duration_ms if event.HasField("duration_ms") else None,
        event.method,
        event.tool,
        event.is_error,
        event.size,
        event.truncated,
    )


def to_message(event: StreamEvent) -> plugin_pb2.StreamEvent:
    """The protobuf message that holds `event`."""
    message = plugin_pb2.StreamEvent(
        id=event.id,
        correlation_id=event.correlation_id,
        type=event.type,
        direction=event.direction,
        message=event.message,
        session_id=event.session_id,
        sequence=event.sequence,
        duration_ms=event.duration_ms,
        method=event.method,
        tool=event.tool,
        is_error=event.is_error,
        size=event.size,
        truncated=event.truncated,
    )
    message.timestamp.FromDatetime(event.timestamp)
    for party, target in ((event.server_info, message.server_info), (event.client_info, message.client_info)):
        target.name, target.version, target.title = party.name, party.version, party.title
    return message


def to_envelope(event: StreamEvent) -> envelope.Event:
    """The event as `POST /api/events` takes it: a message that is one JSON value keeps its bytes."""
    encoding, message = _embedded(event.message)
    return envelope.Event(
        id=event.id,
        timestamp=event.timestamp,
        type=cast(envelope.EventType, event.type),
        direction=cast(envelope.Direction, event.direction),
        message=message,
        message_encoding=encoding,
        correlation_id=event.correlation_id or None,
        server_info=_envelope_party(event.server_info),
        client_info=_envelope_party(event.client_info),
        session_id=event.session_id or None,
        sequence=event.sequence or None,
        duration_ms=event.duration_ms,
        method=event.method or None,
        tool=event.tool or None,
        is_error=event.is_error,
        size=event.size or len(event.message),
        truncated=event.truncated,
    )


def _party(party: plugin_pb2.Party) -> Party:
    return Party(party.name, party.version, party.title)


def _envelope_party(party: Party) -> envelope.Party | None:
    return envelope.Party(party.name, party.version, party.title) if party != Party() else None


def _embedded(message: bytes) -> tuple[envelope.MessageEncoding, msgspec.Raw]:
    try:
        text = message.decode()
    except UnicodeDecodeError:
        return "base64", _quoted(base64.b64encode(message).decode())
    try:
        _RAW.decode(message)
    except (msgspec.DecodeError, RecursionError):
        if "\0" in text:
            return "base64", _quoted(base64.b64encode(message).decode())
        return "text", _quoted(text)
    return "json", msgspec.Raw(message)


def _quoted(text: str) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(text))
