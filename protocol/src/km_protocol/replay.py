r"""A session as a file to play again, in the two forms that the service's downloads and the client's exports share.

`replay.jsonl`, from `recorded`: an object a line, each message byte for byte as it was recorded.

    {"sequence":1,"timestamp":"2026-11-22T15:40:00.123456+00:00","direction":"request","type":"request",
     "message_encoding":"text","message":"{\"jsonrpc\":\"2.0\",…}","size":91,"truncated":false,"id":"019aa…"}

`direction` is `request` from the client to the server and `response` from the server to the client; what is no text is
base64, as `message_encoding` says; `truncated` says that `message` is only the beginning of `size` bytes.

`replay.txt`, from `played`, is what `km-client monitor --debug-replay FILE` reads: comments, `DELAY:` and a JSON-RPC
message a line.

    # +0.250 client to server
    DELAY: 247ms
    {"jsonrpc":"2.0","id":2,"method":"tools/list"}

There a line break between two tokens of a message is a space. What is no whole JSON-RPC message (a line of something
else, bytes, a message recorded in part, a gap) would be none when played, so a comment stands in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

MAX_COMMENT = 500  # characters: a comment is to be read
_MILLISECOND = timedelta(milliseconds=1)
_NO_LINE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Said(NamedTuple):
    """One message of a recording, which had `size` bytes; or, with `gap`, what is missing there, in words."""

    id: str
    sequence: int | None
    timestamp: datetime
    direction: str
    type: str
    message: str
    is_base64: bool
    size: int | None
    truncated: bool
    gap: str | None = None


def recorded(messages: Iterable[Said]) -> Iterator[bytes]:
    """Of each its line of `replay.jsonl`."""
    for said in messages:
        line = {
            "sequence": said.sequence,
            "timestamp": said.timestamp.isoformat(),
            "direction": said.direction,
            "type": said.type,
            "message_encoding": "base64" if said.is_base64 else "text",
            "message": said.message,
            "size": said.size,
            "truncated": said.truncated,
            "id": said.id,
        }
        yield msgspec.json.encode(line) + b"\n"


def played(messages: Iterable[Said], began: datetime | None = None) -> Iterator[bytes]:
    """Of each its part of `replay.txt`, timed from `began` on, or from the first of them."""
    so_far = 0  # ms since the session began, as a player counts them: whole ones, so that rounding adds up to nothing
    for said in messages:
        began = began or said.timestamp
        way = "client to server" if said.direction == "request" else "server to client"
        due = round((said.timestamp - began) / _MILLISECOND)
        delay = f"DELAY: {_delay(due - so_far)}\n".encode() if due > so_far else b""
        so_far = max(so_far, due)
        yield b"\n" + comment(f"{offset(said.timestamp - began)} {way}") + delay + _line(said)


def comment(words: str) -> bytes:
    """One line, whatever the words: nobody's name may become a message."""
    return f"# {_NO_LINE.sub(' ', words[: MAX_COMMENT + 100]).strip()}\n".encode()


def offset(span: timedelta) -> str:
    """To the millisecond: `+0.004`, `+1:23.004`; from an hour on to the second: `+2:05:00`."""
    milliseconds = round(span / _MILLISECOND)
    sign, milliseconds = ("−", -milliseconds) if milliseconds < 0 else ("+", milliseconds)
    whole, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(whole, 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{sign}{hours}:{minutes_left:02d}:{seconds:02d}"
    return f"{sign}{minutes}:{seconds:02d}.{thousandths:03d}" if minutes else f"{sign}{seconds}.{thousandths:03d}"


def _line(said: Said) -> bytes:
    """The message as a line to play, or a comment where it cannot be played."""
    if said.gap is not None:
        return comment(f"not recorded: {said.gap}")
    if said.is_base64:
        return comment(f"not played: {said.size} bytes that are not UTF-8")
    if said.truncated:
        kept = len(said.message.encode("utf-8", "surrogatepass"))
        return comment(f"not played: truncated, only the first {kept} of {said.size} bytes were recorded")
    if not _is_message(said.message):
        return comment(f"not played, not JSON-RPC: {said.message[:MAX_COMMENT]}")
    return re.sub(r"[\r\n]+", " ", said.message).strip().encode() + b"\n"


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
    """`247ms`, `1.5s`: both are durations to the readers of this format."""
    return f"{milliseconds}ms" if milliseconds < 1000 else f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".") + "s"
