"""From a message to the event that is logged and shipped.

An event's id is a UUIDv7 of its moment and of (run, sequence): an agent killed at any moment derives the same ids
again, so the server keeps one copy. `run` is the name of the session's directory, unique even where a person gives two
runs the same session id. Messages over 16 MiB travel as their first bytes with `truncated`, the whole length in `size`.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from km_protocol.envelope import MAX_MESSAGE_BYTES, Direction, Event, EventType, MessageEncoding, Party, uuid7

from km_client.agent.correlation import Relation
from km_client.agent.understanding import Message, is_strict_json
from km_client.capture.losses import Loss

MAX_TEXT = 200  # `km_protocol.envelope.ShortText`
MAX_SESSION_ID = 128
LAST_MOMENT_US = 253_402_300_799_999_999  # the end of year 9999, the last a timestamp can say
GAP_METHOD = "kilometers/recording_gap"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Place(NamedTuple):
    """Where an event stands in its session, and the id that follows from that."""

    direction: Direction
    sequence: int
    unix_ns: int
    event_id: str


class Scene(NamedTuple):
    """What holds for every event of a session at one moment. `session_id` may be the person's own choice."""

    session_id: str
    server: Party
    client: Party | None


def event_id(run: str, sequence: int, unix_ns: int) -> str:
    tail = hashlib.blake2b(f"{run}\0{sequence}".encode(), digest_size=16).digest()
    return str(uuid7(_microseconds(unix_ns) // 1000, tail))


def message_event(
    scene: Scene, message: Message, relation: Relation, *, at: Place, size: int, is_cut: bool = False
) -> Event:
    """The event of `message`, whose `content` is redacted by now. `size` is what the whole had on the wire, in bytes;
    `is_cut` says that its end was not recorded.
    """
    body, encoding, truncated = fit(message.content, message.encoding, MAX_MESSAGE_BYTES)
    return Event(
        id=at.event_id,
        timestamp=_timestamp(at.unix_ns),
        type=message.kind,
        direction=at.direction,
        message=body,
        correlation_id=relation.correlation_id,
        server_info=scene.server,
        client_info=scene.client,
        session_id=scene.session_id,
        sequence=at.sequence,
        duration_ms=relation.duration_ms,
        method=relation.method and relation.method[:MAX_TEXT],
        tool=relation.tool and relation.tool[:MAX_TEXT],
        is_error=_said(relation.is_error, message.kind),
        size=size,
        message_encoding=encoding,
        truncated=truncated or is_cut,
    )


def gap_event(scene: Scene, at: Place, loss: Loss) -> Event:
    """What was forwarded but not recorded at this place of the stream."""
    body = {"reason": loss.reason, "records": loss.records, "bytes": loss.bytes}
    return Event(
        id=at.event_id,
        timestamp=_timestamp(at.unix_ns),
        type="notification",
        direction=at.direction,
        message=msgspec.Raw(msgspec.json.encode(body)),
        server_info=scene.server,
        client_info=scene.client,
        session_id=scene.session_id,
        sequence=at.sequence,
        method=GAP_METHOD,
        is_error=True,
        size=loss.bytes,
    )


def fit(content: bytes, encoding: MessageEncoding, limit: int) -> tuple[msgspec.Raw, MessageEncoding, bool]:
    """`content` as the event's `message`, in at most `limit` bytes of it; whether something was cut off."""
    if encoding == "json" and len(content) <= limit:
        return msgspec.Raw(content), "json", False
    if encoding == "base64" or b"\0" in content:
        return msgspec.Raw(b'"' + base64.b64encode(content[:limit]) + b'"'), "base64", len(content) > limit
    kept = content[:limit]
    text = _as_json_text(kept)
    while len(text) > limit:  # escapes made it longer: shorten in proportion, and a little more
        kept = kept[: len(kept) * limit // len(text) * 99 // 100]
        text = _as_json_text(kept)
    return msgspec.Raw(text), "text", len(kept) < len(content)


def shortened(encoded: bytes, limit: int) -> bytes:
    """An encoded event with at most `limit` bytes of its message; the event itself if that changes nothing."""
    event = msgspec.json.decode(encoded, type=Event)
    content = bytes(event.message)
    if event.message_encoding == "base64":
        content = base64.b64decode(msgspec.json.decode(content, type=str))
    elif event.message_encoding == "text":
        content = msgspec.json.decode(content, type=str).encode()
    body, encoding, truncated = fit(content, event.message_encoding, limit)
    if not truncated:
        return encoded
    return msgspec.json.encode(msgspec.structs.replace(event, message=body, message_encoding=encoding, truncated=True))


def as_it_travels(message: Message, redacted: bytes) -> Message:
    """`message` with its secrets gone. A pattern of the person's own may break JSON: then it travels as text."""
    broken = message.encoding == "json" and not is_strict_json(redacted)
    encoding: MessageEncoding = "text" if broken else message.encoding
    return msgspec.structs.replace(message, content=redacted, encoding=encoding)


def _said(is_error: bool, kind: EventType) -> bool | None:
    """Whether it is an error, where that is to be said: a declined probe is of type `error` and yet no fault."""
    return is_error or (False if kind == "error" else None)


def _as_json_text(content: bytes) -> bytes:
    """A character cut in two at the end is left out."""
    return msgspec.json.encode(content.decode(errors="ignore"))


def _timestamp(unix_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=_microseconds(unix_ns))


def _microseconds(unix_ns: int) -> int:
    return min(unix_ns // 1000, LAST_MOMENT_US)
