"""What one HTTP exchange leaves in the recording: its messages as they end, or why there is none.

    tape = Tape(runs, room, target, head, number=17)
    tape.request(data) …; tape.request_ended(); tape.response(head); tape.data(data) …; tape.ended()

Called after what it is told has been sent on; it never fails and never waits. A POST body in JSON is a message to the
server; a JSON answer, or each event of an event stream, one to the client. A failure (a status of 400 or more without
a JSON-RPC body, no answer, an answer that broke off, one of a wrong kind) is recorded as such, so that a failing server
is not silence. What is no MCP (OAuth endpoints, say, whose bodies hold secrets) passes unrecorded.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urljoin, urlsplit

from km_client.capture import exchanges
from km_client.capture.exchanges import FAILURE, MESSAGE, NOTE, Entry
from km_client.capture.journal import REQUEST, RESPONSE, Direction
from km_client.proxy.http import sse
from km_client.proxy.http.copies import Copy, Decoding, Room
from km_client.proxy.http.heads import RequestHead, ResponseHead, value, values
from km_client.proxy.http.hiding import hidden_url
from km_client.proxy.http.looks import (
    EVENT_STREAM,
    JSON_TYPES,
    LOOKED_AT_BYTES,
    SESSION_ID,
    ends_a_request,
    is_initialize,
    is_json_rpc,
    is_mcp,
    media_type,
)
from km_client.proxy.http.runs import Run, Runs

SHOWN_BYTES = 2048  # of a gateway's page
OFFERS_NO_STREAM = 405
GONE = 404


class Tape:
    """`number` is the exchange's, from 1. `hide` takes out of a text what must not be told of the server's address."""

    def __init__(
        self,
        runs: Runs,
        room: Room,
        endpoint: str,
        head: RequestHead,
        number: int,
        hide: Callable[[str], str] = str,
    ) -> None:
        self._runs = runs
        self._room = room
        self._head = head
        self._number = number
        self._hide = hide
        self._session_id = value(head.headers, SESSION_ID)
        self._endpoint_key = b"sse:" + head.target
        self.is_mcp = is_mcp(head, endpoint) or runs.has_session(self._endpoint_key)
        self._run: Run | None = None
        self._is_initialize = self._is_legacy_stream = False
        self._copy = Copy(room, value(head.headers, b"content-encoding"))
        self._events: sse.Decoder | None = None
        self._decoding = Decoding(b"")
        self._answer: ResponseHead | None = None
        self._is_told = self._has_response = False

    def request(self, data: bytes) -> None:
        if self.is_mcp and self._head.method == b"POST":
            self._copy.add(data)

    def request_ended(self) -> None:
        """The request was sent on as a whole."""
        if not self.is_mcp or not self._copy.size:
            return
        content = self._copy.content
        if not self._has_session and len(content) <= LOOKED_AT_BYTES and is_initialize(content):
            self._is_initialize = True
            self._use(self._runs.begin(self._peer))
        if media_type(self._head.headers) in JSON_TYPES:
            self._message(REQUEST, content, self._copy.size)
        else:
            self._tell(FAILURE, {"problem": "the client sent a body that is not JSON", "size": self._copy.size})
        self._copy.drop()

    def response(self, head: ResponseHead) -> None:
        """The head of the answer, not an interim one."""
        if not self.is_mcp:
            return
        self._answer = head
        self._copy.drop()
        coding = value(head.headers, b"content-encoding")
        if media_type(head.headers) == EVENT_STREAM and head.status < 300:
            self._events, self._decoding = sse.Decoder(self._room), Decoding(coding)
        else:
            self._copy = Copy(self._room, coding)
        session_id = value(head.headers, SESSION_ID)
        if self._is_initialize and session_id and self._run:
            self._runs.bind(session_id, self._run)

    def data(self, data: bytes) -> None:
        if not self.is_mcp:
            return
        if self._events is None:
            self._copy.add(data)
            return
        for piece in self._decoding.pieces(data):
            for event in self._events.feed(piece):
                self._event(event)

    def ended(self) -> None:
        """The answer was sent on as a whole."""
        head = self._answer
        if not self.is_mcp or head is None:
            return
        if self._events is None:
            self._whole_answer(head)
        elif self._decoding.problem:
            self._tell(FAILURE, {"status": head.status, "problem": f"not recorded: {self._decoding.problem}"})
        elif self._head.method == b"POST" and not (self._has_response or self._has_session):
            # In a session it may be taken up again by a GET (2025-11-25); without one this was all there will be.
            self._tell(NOTE, {"status": head.status, "problem": "the event stream ended without an answer"})
        if self._session_id and (head.status == GONE or (self._head.method == b"DELETE" and head.status < 300)):
            self._runs.end(self._session_id)

    def withheld(self, note: bytes) -> None:
        """The client was given something else than what the server said: see `held`."""
        self._message(RESPONSE, note, len(note))

    def failed(self, problem: str) -> None:
        """There is no answer, or no whole one."""
        if self.is_mcp and not self._is_told:
            self._tell(FAILURE, self._status() | {"problem": problem})

    def client_left(self) -> None:
        """The client closed the connection before the end. In 2026-07-28 that cancels the request."""
        if self.is_mcp and self._head.method == b"POST" and not self._is_told and not self._has_response:
            self._tell(NOTE, {"problem": "the client closed the connection before the answer was complete"})

    def close(self) -> None:
        """In any case, at the end."""
        self._copy.drop()
        if self._events:
            self._events.drop()
        if self._is_legacy_stream:
            self._runs.end(self._endpoint_key)
        if self._run:
            self._runs.release(self._run)
            self._run = None

    @property
    def answers_to(self) -> bytes:
        """Of a stream of 2024-11-05: what is posted to this target is answered here. Blank for any other."""
        return self._endpoint_key.removeprefix(b"sse:") if self._is_legacy_stream else b""

    @property
    def _peer(self) -> bytes:
        return value(self._head.headers, b"user-agent")[:256]

    @property
    def _has_session(self) -> bool:
        return bool(self._session_id) or self._runs.has_session(self._endpoint_key)

    @property
    def _scope(self) -> int:
        return 0 if self._has_session else self._number

    def _use(self, run: Run) -> Run:
        run.users += 1
        self._run = run
        return run

    def _current(self) -> Run:
        if self._run:
            return self._run
        if self._session_id:
            return self._use(self._runs.of_session(self._session_id))
        if self._runs.has_session(self._endpoint_key):
            return self._use(self._runs.of_session(self._endpoint_key))
        return self._use(self._runs.of_peer(self._peer))

    def _message(self, direction: Direction, content: bytes, size: int) -> None:
        self._current().write(direction, Entry(MESSAGE, self._scope, self._number, size, content))

    def _event(self, event: sse.Event) -> None:
        if event.name == b"endpoint":
            self._legacy_session(event.data)
        elif event.size:
            self._has_response = self._has_response or ends_a_request(event.data)
            self._message(RESPONSE, event.data, event.size)

    def _legacy_session(self, endpoint: bytes) -> None:
        """2024-11-05: what is posted to this place belongs to this stream."""
        try:
            place = urlsplit(urljoin(self._head.target.decode("latin-1"), endpoint.decode("latin-1").strip()))
        except ValueError:  # no address: nobody can post there
            return
        self._endpoint_key = f"sse:{place.path}{'?' + place.query if place.query else ''}".encode("latin-1")
        self._is_legacy_stream = True
        self._runs.bind(self._endpoint_key, self._run or self._use(self._runs.begin(self._peer)))

    def _whole_answer(self, head: ResponseHead) -> None:
        content, size = self._copy.content, self._copy.size
        if self._copy.problem:
            self._tell(FAILURE, {"status": head.status, "problem": f"not recorded: {self._copy.problem}"})
        elif head.status >= 400:
            self._refusal(head, content, size)
        elif head.status >= 300:
            location = hidden_url(_text(value(head.headers, b"location")))
            self._tell(NOTE, {"status": head.status, "location": location})
        elif size and media_type(head.headers) in JSON_TYPES:
            self._message(RESPONSE, content, size)
        elif size and self._head.method == b"POST" and head.status != 202:
            kind = _text(media_type(head.headers)) or "none"
            problem = f"the answer is neither JSON nor an event stream: its content type is {kind}"
            self._tell(FAILURE, {"status": head.status, "problem": problem, "body": _text(content)})

    def _refusal(self, head: ResponseHead, content: bytes, size: int) -> None:
        if media_type(head.headers) in JSON_TYPES and is_json_rpc(content):
            self._message(RESPONSE, content, size)
            return
        if self._head.method != b"POST" and head.status == OFFERS_NO_STREAM:
            return  # the server has no stream to listen to, or does not let sessions be ended: no fault
        authenticate = values(head.headers, b"www-authenticate")
        facts: dict[str, object] = {"body": _text(content)} if content else {}
        if authenticate:
            facts["www_authenticate"] = _text(b", ".join(authenticate))
        self._tell(FAILURE, self._status() | facts)

    def _status(self) -> dict[str, object]:
        if self._answer is None:
            return {}
        kind = _text(media_type(self._answer.headers))
        facts = {"status": self._answer.status, "reason": _text(self._answer.reason)}
        return facts | ({"content_type": kind} if kind else {})

    def _tell(self, kind: str, facts: dict[str, object]) -> None:
        self._is_told = True
        request = f"{_text(self._head.method)} {_text(self._head.target.partition(b'?')[0])}"
        told = {name: self._hide(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}
        body = {"jsonrpc": "2.0", "method": exchanges.METHOD, "params": {"request": self._hide(request), **told}}
        content = json.dumps(body).encode()
        self._current().write(RESPONSE, Entry(kind, self._scope, self._number, len(content), content))


def _text(content: bytes) -> str:
    return content[:SHOWN_BYTES].decode(errors="replace")
