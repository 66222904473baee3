"""From events to calls: a request with its answer and with what was said about it.

    pairing = Pairing()
    for event in events:
        if call := pairing.take(event): …       the call that this event belongs to, begun, noticed or ended by it
    pairing.open                                 those that nobody has answered

The agent has correlated already: `correlation_id` is the request's, `duration_ms` stands on what ends it: an answer, a
cancellation, the news that its task failed. A retry after `input_required`, and the `tasks/result` of a task, share the
correlation id of the call they carry on, and are calls of their own here.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from km_protocol.envelope import Event

from km_client.agent.events import GAP_METHOD
from km_client.agent.open_calls import STREAMS
from km_client.capture import exchanges

LONGEST_LOOK = 64 * 1024  # bytes of a failure that are looked into for words
KEPT_LATE = 1_000  # calls that were given up: most are never answered
ENDINGS = {"notifications/cancelled", exchanges.METHOD}  # of streams, whose end has no duration to be known by
_FORGOTTEN = msgspec.Raw(b"null")


class Call:
    """`request` is missing where only the answer was recorded, `answer` while there is none. `given_up` is the notice
    that ended it without an answer, or before one.
    """

    __slots__ = ("answer", "given_up", "notices", "request")

    def __init__(self, request: Event | None, answer: Event | None = None) -> None:
        self.request = request
        self.answer = answer
        self.given_up: Event | None = None
        self.notices = 0  # progress, a cancellation, messages of a subscription

    @property
    def first(self) -> Event:
        event = self.request or self.answer
        assert event is not None
        return event

    @property
    def from_client(self) -> bool:
        """Whether the client asked."""
        return (self.first.direction == "request") == (self.request is not None)

    @property
    def method(self) -> str:
        return self.first.method or ""

    @property
    def tool(self) -> str:
        return self.first.tool or ""

    @property
    def name(self) -> str:
        return " ".join(filter(None, (self.method or "(unknown)", self.tool)))

    @property
    def began(self) -> datetime:
        if self.request or not self.answer:
            return self.first.timestamp
        return self.answer.timestamp - timedelta(milliseconds=self.duration_ms or 0)

    @property
    def duration_ms(self) -> float | None:
        """As the monitor measured it; `None` while it is open, and of what only began something: a task, a stream."""
        return self._end.duration_ms if self._end else None

    @property
    def ended(self) -> datetime | None:
        return self._end.timestamp if self._end else None

    @property
    def status(self) -> str:
        """`open`, `cancelled`, `ERROR` or `ok`."""
        if self._end is None:
            return "open"
        return "ERROR" if self.is_error else "cancelled" if self.given_up else "ok"

    @property
    def is_error(self) -> bool:
        return self._end is not None and failed(self._end)

    @property
    def _end(self) -> Event | None:
        return self.given_up or self.answer

    def forget_contents(self) -> None:
        """Keep no message but a short failure: a session may hold gigabytes."""
        self.request = self.request and msgspec.structs.replace(self.request, message=_FORGOTTEN)
        if self.answer and not (failed(self.answer) and len(self.answer.message) <= LONGEST_LOOK):
            self.answer = msgspec.structs.replace(self.answer, message=_FORGOTTEN)

    def as_json(self) -> dict[str, Any]:
        """Without its messages; times are ISO 8601, durations milliseconds, sizes bytes."""
        code, words = failure_words(self.answer) if self.answer and self.is_error else ("", "")
        return {
            "began": self.began.isoformat(),
            "from": "client" if self.from_client else "server",
            "method": self.method,
            "tool": self.tool,
            "duration_ms": self.duration_ms,
            "status": self.status.lower(),
            "error": {"code": code, "message": words} if self.is_error else None,
            "request_bytes": self.request.size if self.request else None,
            "answer_bytes": self.answer.size if self.answer else None,
            "notices": self.notices,
            "id": self.first.id,
        }


class Pairing:
    """The calls of one session, or of many: ids of events are unique."""

    def __init__(self) -> None:
        self._open: dict[tuple[str | None, str, bool], Call] = {}
        self._late: dict[tuple[str | None, str, bool], Call] = {}  # given up, and perhaps answered all the same

    @property
    def open(self) -> Iterable[Call]:
        """Unanswered, oldest first."""
        return self._open.values()

    def take(self, event: Event) -> Call | None:
        """Take the next event; the call it belongs to, if to any."""
        if not event.correlation_id:
            return Call(None, event) if event.type in ("response", "error") and event.method != GAP_METHOD else None
        asked_by_client = (event.direction == "request") == (event.type == "request")
        key = (event.session_id, event.correlation_id, asked_by_client)
        if event.type == "request":
            if overtaken := self._open.pop(key, None):  # as of two who ask for one task's result
                self._open[event.session_id, overtaken.first.id, asked_by_client] = overtaken
            self._open[key] = call = Call(event)
            return call
        if event.type in ("response", "error"):
            answered = self._open.pop(key, None) or self._late.pop(key, Call(None))
            answered.answer = event
            return answered
        return self._noticed(event)

    def forget(self, call: Call) -> None:
        """Wait no more for the answer to `call`."""
        first = call.first
        for known_by in (first.correlation_id or "", first.id):
            key = (first.session_id, known_by, call.from_client)
            if self._open.get(key) is call:
                del self._open[key]

    def _noticed(self, event: Event) -> Call | None:
        for asked_by_client in (True, False):
            key = (event.session_id, event.correlation_id or "", asked_by_client)
            if (call := self._open.get(key)) is None:
                continue
            call.notices += 1
            if event.duration_ms is not None or (call.method in STREAMS and event.method in ENDINGS):
                call.given_up = event
                self._late[key] = self._open.pop(key)
                while len(self._late) > KEPT_LATE:
                    del self._late[next(iter(self._late))]
            return call
        return None


def failed(event: Event) -> bool:
    """Whether the event is a fault: what it says itself, or else its type."""
    return event.type == "error" if event.is_error is None else event.is_error


def content(event: Event) -> bytes:
    """The message's bytes as they were sent, as far as they were kept."""
    if event.message_encoding == "json":
        return bytes(event.message)
    text: str = msgspec.json.decode(event.message, type=str)
    return base64.b64decode(text) if event.message_encoding == "base64" else text.encode("utf-8", "surrogatepass")


class Failure(msgspec.Struct, frozen=True):
    """What a failed answer says of itself."""

    code: Any = None
    message: Any = None


class _Content(msgspec.Struct, frozen=True):
    text: Any = None


class _Result(msgspec.Struct, frozen=True):
    content: list[_Content] = []


class _Erring(msgspec.Struct, frozen=True):
    error: Failure | None = None


class _Said(msgspec.Struct, frozen=True):
    result: _Result = _Result()


def failure_words(event: Event) -> tuple[str, str]:
    """(code, words) of a failed answer: `("-32602", "no such tool")`, or `("tool_error", the tool's first text)`."""
    message = content(event)
    if len(message) > LONGEST_LOOK:
        return ("" if event.type == "error" else "tool_error"), ""
    try:
        if event.type == "error":
            said = msgspec.json.decode(message, type=_Erring).error or Failure()
            return str(said.code if said.code is not None else ""), str(said.message or "")
        blocks = msgspec.json.decode(message, type=_Said).result.content
        return "tool_error", next((block.text for block in blocks if isinstance(block.text, str)), "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ("" if event.type == "error" else "tool_error"), ""
