"""A session of this machine as a file to play again, in the two forms that the dashboard has (`km_protocol.replay`).

Only comments differ from the dashboard's: who they were is said there, and gaps are in other words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from km_protocol import replay
from km_protocol.envelope import Event
from km_protocol.replay import Said

from km_client.agent.events import GAP_METHOD


def jsonl(events: Iterable[Event]) -> Iterator[bytes]:
    """The recording: every message as it was sent; what is no text, or holds a NUL, is base64."""
    return replay.recorded(map(_said, events))


def script(session_id: str, events: Iterable[Event]) -> Iterator[bytes]:
    """The same as a script."""
    yield replay.comment(f"Kilometers session {session_id}")
    yield from replay.played(map(_said, events))


def _said(event: Event) -> Said:
    text, is_base64 = _text(event)
    return Said(
        event.id,
        event.sequence,
        event.timestamp,
        event.direction,
        event.type,
        text,
        is_base64,
        event.size,
        event.truncated,
        text if event.method == GAP_METHOD else None,
    )


def _text(event: Event) -> tuple[str, bool]:
    if event.message_encoding == "json":
        return bytes(event.message).decode(errors="replace"), False
    return msgspec.json.decode(event.message, type=str), event.message_encoding == "base64"
