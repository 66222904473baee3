r"""A session as a file to play again, in the two forms that the dashboard's downloads have.

`replay.jsonl`, the recording, an object a line, byte for byte the dashboard's:

    {"sequence":1,"timestamp":"2026-11-22T15:40:00.123456+00:00","direction":"request","type":"request",
     "message_encoding":"text","message":"{\"jsonrpc\":\"2.0\",…}","size":91,"truncated":false,"id":"019aa…"}

`replay.txt`, what `monitor --debug-replay FILE` reads: comments, `DELAY:` and a JSON-RPC message a line. Only comments
differ from the dashboard's: who they were is said there, and gaps are in other words.

    # +0.250 client to server
    DELAY: 247ms
    {"jsonrpc":"2.0","id":2,"method":"tools/list"}

What is no whole JSON-RPC message would be none when played, so in the second a comment stands in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import msgspec
from km_protocol.envelope import Event

from km_client.agent.events import GAP_METHOD
from km_client.watching.calls import content
from km_client.watching.replaying.script import CLIENT_TO_SERVER, SERVER_TO_CLIENT

MAX_COMMENT = 500  # characters: a comment is to be read
_MILLISECOND = timedelta(milliseconds=1)
_NO_LINE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def jsonl(events: Iterable[Event]) -> Iterator[bytes]:
    """The recording: every message as it was sent; what is no text, or holds a NUL, is base64."""
    for event in events:
        text, is_base64 = _text(event)
        line = {
            "sequence": event.sequence,
            "timestamp": event.timestamp.isoformat(),
            "direction": event.direction,
            "type": event.type,
            "message_encoding": "base64" if is_base64 else "text",
            "message": text,
            "size": event.size,
            "truncated": event.truncated,
            "id": event.id,
        }
        yield msgspec.json.encode(line) + b"\n"


def script(session_id: str, events: Iterable[Event]) -> Iterator[bytes]:
    """The same as a script."""
    yield _comment(f"Kilometers session {session_id}")
    began: datetime | None = None
    played = 0  # ms since the session began, as a player counts them: whole ones, so that rounding adds up to nothing
    for event in events:
        began = began or event.timestamp
        way = CLIENT_TO_SERVER if event.direction == "request" else SERVER_TO_CLIENT
        due = round((event.timestamp - began) / _MILLISECOND)
        delay = f"DELAY: {_delay(due - played)}\n".encode() if due > played else b""
        played = max(played, due)
        yield b"\n" + _comment(f"{_offset(event.timestamp - began)} {way}") + delay + _played(event)


def _offset(span: timedelta) -> str:
    """`+0.004`, `+1:23.004`, `+2:05:00`."""
    milliseconds = round(span / _MILLISECOND)
    sign, milliseconds = ("−", -milliseconds) if milliseconds < 0 else ("+", milliseconds)
    whole, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(whole, 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{sign}{hours}:{minutes_left:02d}:{seconds:02d}"
    return f"{sign}{minutes}:{seconds:02d}.{thousandths:03d}" if minutes else f"{sign}{seconds}.{thousandths:03d}"


def _text(event: Event) -> tuple[str, bool]:
    if event.message_encoding == "json":
        return bytes(event.message).decode(errors="replace"), False
    return msgspec.json.decode(event.message, type=str), event.message_encoding == "base64"


def _played(event: Event) -> bytes:
    text, is_base64 = _text(event)
    if event.method == GAP_METHOD:
        return _comment(f"not recorded: {text}")
    if is_base64:
        return _comment(f"not played: {event.size} bytes that are not UTF-8")
    if event.truncated:
        return _comment(
            f"not played: truncated, only the first {len(content(event))} of {event.size} bytes were recorded"
        )
    if not _is_message(text):
        return _comment(f"not played, not JSON-RPC: {text[:MAX_COMMENT]}")
    return re.sub(r"[\r\n]+", " ", text).strip().encode() + b"\n"


def _is_message(text: str) -> bool:
    """Whether it is one JSON object, or an array (a batch), and nothing else."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _delay(milliseconds: int) -> str:
    return f"{milliseconds}ms" if milliseconds < 1000 else f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".") + "s"


def _comment(words: str) -> bytes:
    """One line, whatever the words: nobody's name may become a message."""
    return f"# {_NO_LINE.sub(' ', words[: MAX_COMMENT + 100]).strip()}\n".encode()
