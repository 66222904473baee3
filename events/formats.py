"""Every shape of body this server takes, decoded to the one `Event` of `km_protocol.envelope`.

    events       {"events": [Event, …]} or one Event        `km-client`, plugins' API clients
    batch        {"events": [{"id", "timestamp", "direction": "inbound", "method", "payload": base64, "size"}, …]}
    telemetry    {"event_type", "timestamp", "command", "args", "session_id", …}      the Rust `km`, once a launch

The same body decodes to the same events at any time: ingestion decodes to judge, the drain decodes again to store, and
indexes mean the same to both. Older clients are read leniently; what they leave out is worked out from the message.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence

import msgspec
from km_protocol.envelope import Event, decode_events, raw_events
from km_protocol.errors import EventError

from events.models import InboxEntry
from events.older_clients import launch, older_event

Kind = InboxEntry.Kind
Decoded = Sequence[Event | EventError]


class _Identity(msgspec.Struct):
    """The one thing a refused event is named by."""

    id: str


_IDENTITY = msgspec.json.Decoder(_Identity)
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(kind: str, body: bytes) -> Decoded:
    """The events of `body`, a refused one as an `EventError` in its place. Raises `EventError` for the whole body."""
    return _DECODERS[kind](body)


def is_lone(kind: str, body: bytes) -> bool:
    """Whether the request is about one event rather than a list of them. For the slow path of a refusal."""
    return kind == Kind.TELEMETRY or raw_events(body) is None


def sent_ids(body: bytes, indexes: Iterable[int]) -> dict[int, str]:
    """The ids the sender gave the events at `indexes`, as far as they can be read. For the slow path of a refusal."""
    raws = raw_events(body)
    found = {}
    for index in indexes:
        with contextlib.suppress(*_BROKEN):  # an event refused for what it is may well have no id to name it by
            found[index] = _IDENTITY.decode(body if raws is None else raws[index]).id
    return found


def _events(body: bytes) -> Decoded:
    found = decode_events(body)
    if len(found) == 1 and isinstance(found[0], EventError) and b'"payload"' in body:
        return _older_alone(body, found[0])
    return found


def _older_alone(body: bytes, otherwise: EventError) -> Decoded:
    """Clients before 1.0 also post one event of theirs to the address of the new ones."""
    older = _each(older_event, body)
    return [otherwise if isinstance(older, EventError) else older]


def _batch(body: bytes) -> Decoded:
    raws = raw_events(body)
    if raws is None:
        raise EventError(
            "the body is not a batch: it has no `events`",
            'send {"events": [{"id", "timestamp", "direction", "method", "payload", "size"}, …]}',
        )
    return [_each(older_event, raw) for raw in raws]


def _telemetry(body: bytes) -> Decoded:
    return [_each(launch, body)]


def _each(convert: Callable[[bytes | msgspec.Raw], Event], raw: bytes | msgspec.Raw) -> Event | EventError:
    try:
        return convert(raw)
    except EventError as error:
        return error
    except RecursionError:
        return EventError("the event is nested too deeply", "send fewer levels")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return EventError(str(error))


_DECODERS: dict[str, Callable[[bytes], Decoded]] = {
    Kind.EVENTS: _events,
    Kind.BATCH: _batch,
    Kind.TELEMETRY: _telemetry,
}
