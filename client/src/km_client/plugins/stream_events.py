"""The monitor's event as the plugin contract's message: the same bytes, never re-serialised.

>>> from_envelope(event).message
b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call"}'
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from km_plugin_sdk.wire import plugin_pb2
from km_protocol.envelope import Event, Party

# Go plugins refuse calls over 4 MiB; a message this long is a file in disguise, and its beginning says which.
MOST_MESSAGE_BYTES = 1024 * 1024
_EPOCH, _SECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1)


def from_envelope(event: Event) -> plugin_pb2.StreamEvent:
    """Raises `ValueError` when `message` is not encoded as `message_encoding` says."""
    message = message_bytes(event)
    built = plugin_pb2.StreamEvent(
        id=event.id,
        correlation_id=event.correlation_id or "",
        timestamp=_timestamp(event),
        type=event.type,
        direction=event.direction,
        message=message[:MOST_MESSAGE_BYTES],
        session_id=event.session_id or "",
        sequence=event.sequence or 0,
        duration_ms=event.duration_ms,
        method=event.method or "",
        tool=event.tool or "",
        is_error=event.is_error,
        size=len(message) if event.size is None else event.size,
        truncated=event.truncated or len(message) > MOST_MESSAGE_BYTES,
    )
    _describe(built.server_info, event.server_info)
    _describe(built.client_info, event.client_info)
    return built


def message_bytes(event: Event) -> bytes:
    """The bytes as one side sent them."""
    if event.message_encoding == "json":
        return bytes(event.message)
    text = msgspec.json.decode(event.message, type=str)
    return base64.b64decode(text) if event.message_encoding == "base64" else text.encode("utf-8", "surrogatepass")


def _timestamp(event: Event) -> Timestamp:
    """Exact, and four times as fast as `Timestamp.FromDatetime`."""
    seconds, rest = divmod(event.timestamp - _EPOCH, _SECOND)
    return Timestamp(seconds=seconds, nanos=rest.microseconds * 1000)


def _describe(into: plugin_pb2.Party, party: Party | None) -> None:
    if party is not None:
        into.name, into.version, into.title = party.name, party.version, party.title
