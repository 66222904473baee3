"""Bodies of clients before 1.0, read leniently and turned into today's `Event`.

    {"events": [{"id": "9f…", "timestamp": "2026-11-22T15:40:00Z", "direction": "inbound", "method": "tools/call",
                 "payload": "eyJqc29ucnBjIjoiMi4wIn0=", "size": 17}], "cliVersion": "0.4.0", "batchTimestamp": …}
    {"event_type": "command_execution", "timestamp": …, "user_id": …, "user_tier": "free", "command": "npx",
     "args": ["-y", "server"], "session_id": "5a…", "metadata": {}}

`inbound` is what the server receives: client to server. What these clients leave out (the type, often the method) is
worked out from the message itself; its bytes are kept as they were.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import UTC, datetime

import msgspec
from km_protocol.envelope import Direction, Event, EventType, MessageEncoding, Party
from km_protocol.errors import EventError

_DIRECTIONS: dict[str, Direction] = {
    **dict.fromkeys(("request", "inbound", "in", "client_to_server", "client-to-server"), "request"),
    **dict.fromkeys(("response", "outbound", "out", "server_to_client", "server-to-client"), "response"),
}
_NAME_CHARACTERS = 200  # `km_protocol.envelope.ShortText`
_SESSION_CHARACTERS = 128


class OlderEvent(msgspec.Struct):
    """An event as clients before 1.0 send it. Unknown fields, such as `riskScore`, are passed over."""

    id: str
    timestamp: datetime
    direction: str
    payload: str
    method: str | None = None
    size: int | None = None
    correlation_id: str | None = msgspec.field(default=None, name="correlationId")


class OlderBatch(msgspec.Struct):
    """What they post to `/api/events/batch`. Times are those of the clock that sent them."""

    events: list[msgspec.Raw]
    cli_version: str = msgspec.field(default="", name="cliVersion")
    batch_timestamp: str = msgspec.field(default="", name="batchTimestamp")


class Launch(msgspec.Struct):
    """What the Rust `km` posts to `/api/events/telemetry` when it starts a server."""

    timestamp: datetime
    event_type: str = "launch"
    user_id: str | None = None
    user_tier: str | None = None
    command: str = ""
    args: list[str] = []
    session_id: str | None = None
    metadata: dict[str, msgspec.Raw] = {}


class _Message(msgspec.Struct):
    """As much of a JSON-RPC message as tells what it is."""

    id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    method: str | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_OLDER_EVENT = msgspec.json.Decoder(OlderEvent)
_LAUNCH = msgspec.json.Decoder(Launch)
_MESSAGE = msgspec.json.Decoder(_Message)


def older_event(raw: bytes | msgspec.Raw) -> Event:
    """One event of an older batch. Raises `EventError`, or what msgspec raises."""
    older = _OLDER_EVENT.decode(raw)
    payload = _payload(older.payload)
    direction = _DIRECTIONS.get(older.direction.strip().lower())
    if direction is None:
        raise EventError(
            f"`direction` is `{older.direction[:40]}`",
            "send `request` or `inbound` from client to server, `response` or `outbound` from server to client",
        )
    what, method = _read(payload, direction)
    message, encoding = _embedded(payload)
    return Event(
        id=_bounded(older.id, "id"),
        timestamp=_aware(older.timestamp),
        type=what,
        direction=direction,
        message=message,
        message_encoding=encoding,
        correlation_id=older.correlation_id and _bounded(older.correlation_id, "correlationId"),
        method=(older.method or method)[:_NAME_CHARACTERS],
        is_error=what == "error",
        size=len(payload),
    )


def launch(raw: bytes | msgspec.Raw) -> Event:
    """A launch as a notification of ours. Raises what msgspec raises."""
    sent = _LAUNCH.decode(raw)
    digest = hashlib.blake2b(bytes(raw), digest_size=16).hexdigest()  # the launch has no id, and may be sent again
    return Event(
        id=f"launch-{digest}",
        timestamp=_aware(sent.timestamp),
        type="notification",
        direction="request",
        message=msgspec.Raw(bytes(raw)),
        session_id=sent.session_id and sent.session_id[:_SESSION_CHARACTERS],
        method=f"kilometers/{sent.event_type}"[:_NAME_CHARACTERS],
        server_info=Party(name=sent.command[:_NAME_CHARACTERS]),
        size=len(bytes(raw)),
    )


def _payload(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EventError(f"`payload` is not base64: {error}", "send the message's bytes in standard base64") from None


def _read(payload: bytes, direction: Direction) -> tuple[EventType, str]:
    """What a message is, and its method; what is no JSON-RPC at all counts as the side that sent it."""
    try:
        message = _MESSAGE.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return direction, ""
    if isinstance(message.method, str):
        return ("notification" if message.id is msgspec.UNSET else "request"), message.method
    return ("response" if message.error is msgspec.UNSET else "error"), ""


def _embedded(payload: bytes) -> tuple[msgspec.Raw, MessageEncoding]:
    """`payload` so that `message_text` gives back its exact text, or base64 where no text can hold it."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return _as_base64(payload), "base64"
    return (_as_base64(payload), "base64") if b"\0" in payload else (msgspec.Raw(payload), "json")


def _as_base64(payload: bytes) -> msgspec.Raw:
    return msgspec.Raw(b'"' + base64.b64encode(payload) + b'"')


def _bounded(text: str, name: str) -> str:
    if not 1 <= len(text) <= _NAME_CHARACTERS:
        raise EventError(f"`{name}` has {len(text)} characters; 1 to {_NAME_CHARACTERS} are stored")
    return text


def _aware(moment: datetime) -> datetime:
    """Older clients leave out the zone of a time that is in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
