"""What can be replayed: a recorded session of this machine, or a file; read into the messages that were said, in order.

    replay.jsonl    the dashboard's download and `km-client sessions export --format jsonl`: an object a line
    replay.txt      the dashboard's other download, or a script written by hand (see `script`)
    events          lines of `km-client logs --json`

A message that cannot be played (cut short, or no JSON-RPC) stays in its place with the reason.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from km_protocol.envelope import Event

from km_client.errors import ClientError
from km_client.output import printable
from km_client.watching import sessions, sources
from km_client.watching.replaying import script

_OWN = "kilometers/"  # methods of what the monitor says, not the client or the server
_HINT = "give a session's id, or a file: the dashboard's replay, `km-client sessions export`, or a script"


class Said(NamedTuple):
    """One message. `at` is in seconds since the first; `problem` says why it cannot be played, then there is no
    `message`.
    """

    from_client: bool
    at: float
    content: bytes
    message: dict[str, Any] | None
    problem: str = ""


class _Line(msgspec.Struct, frozen=True):
    """A line of `replay.jsonl`, or of an event, where `message` may stand as it was sent."""

    timestamp: datetime
    direction: str
    message: msgspec.Raw
    message_encoding: str = "json"
    truncated: bool = False
    size: int | None = None
    method: str | None = None


def load(source: str, *, raw: bool = False) -> list[Said]:
    """The messages of a file or a session. Raises `ClientError`."""
    path = Path(source)
    if _can_be_read(path):
        said = _from_file(path)
    elif os.path.exists(path) or path.suffix or len(path.parts) > 1:  # noqa: PTH110 - a name may be too long for a file
        raise ClientError("no_recording", f"there is no file `{printable(source)}`", _HINT)
    else:
        session = sessions.find(sessions.recorded(), source)
        said = list(_of_events(session.raw_events() if raw else session.events(sources.redactor())))
    if not any(one.message for one in said):
        raise ClientError("empty_recording", f"nothing in `{printable(source)}` can be played", _HINT)
    return said


def _can_be_read(path: Path) -> bool:
    """Whether it is a file, or a pipe, as `<(km-client sessions export …)` is one."""
    try:
        return path.is_file() or path.is_fifo()
    except OSError:  # a name longer than any file's
        return False


def _from_file(path: Path) -> list[Said]:
    try:
        content = path.read_bytes().removeprefix(script.BOM)
    except OSError as error:
        raise ClientError("no_recording", f"{path} cannot be read: {error.strerror}", _HINT) from None
    if _is_recording(content):
        return list(_said(_lines(content, path)))
    steps = script.parse(content, path.name)
    moments = _moments(step.delay for step in steps)
    return [
        one
        for step, at in zip(steps, moments, strict=True)
        for one in _elements(step.from_client, at, step.line, step.message)
    ]


def _is_recording(content: bytes) -> bool:
    """By its first line: that of a script is a comment, a delay, or a message of JSON-RPC."""
    first = content.lstrip().split(b"\n", 1)[0]
    try:
        msgspec.json.decode(first, type=_Line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _lines(content: bytes, path: Path) -> Iterator[_Line]:
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield msgspec.json.decode(line, type=_Line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            message = f"{path.name}, line {number}: this is no line of a recording: {error}"
            raise ClientError("bad_recording", message, "download or export it again, whole") from None


def _of_events(events: Iterable[Event]) -> Iterator[Said]:
    return _said(
        _Line(
            event.timestamp,
            event.direction,
            event.message,
            event.message_encoding,
            event.truncated,
            event.size,
            event.method,
        )
        for event in events
    )


def _said(lines: Iterable[_Line]) -> Iterator[Said]:
    began: datetime | None = None
    for line in lines:
        began = began or line.timestamp
        if not (line.method or "").startswith(_OWN):
            yield from _of_line(line, max(0.0, (line.timestamp - began).total_seconds()))


def _of_line(line: _Line, at: float) -> Iterator[Said]:
    from_client = line.direction == "request"
    content = bytes(line.message)
    if line.message_encoding != "json":
        text = msgspec.json.decode(line.message, type=str)
        is_bytes = line.message_encoding == "base64"
        content = base64.b64decode(text) if is_bytes else text.encode("utf-8", "surrogatepass")
    if line.truncated:
        problem = f"only the first {len(content):,} of {line.size or 0:,} bytes were kept"
        yield Said(from_client, at, content, None, problem)
        return
    try:
        message = json.loads(content.decode())
    except (ValueError, RecursionError):
        yield Said(from_client, at, content, None, "it is no JSON")
        return
    yield from _elements(from_client, at, content, message)


def _elements(from_client: bool, at: float, content: bytes, message: Any) -> Iterator[Said]:
    """A batch is its elements: they were understood one by one."""
    if isinstance(message, list):
        for element in message:
            yield from _elements(from_client, at, json.dumps(element).encode(), element)
    elif isinstance(message, dict) and str(message.get("method", "")).startswith(_OWN):
        return
    elif (
        isinstance(message, dict)
        and isinstance(message.get("method", ""), str)
        and ("method" in message or "result" in message or "error" in message)
    ):
        yield Said(from_client, at, content, message)
    else:
        yield Said(from_client, at, content, None, "it is no JSON-RPC message")


def _moments(delays: Iterable[float]) -> Iterator[float]:
    at = 0.0
    for delay in delays:
        at += delay
        yield at
