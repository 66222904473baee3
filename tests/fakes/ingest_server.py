"""A Kilometers server in this process that obeys the wire's rules, remembers what it stored, and can be told to fail.

    with IngestServer() as server:
        key = server.new_key()
        server.fail_next(503, retry_after="1")        the next request to /api/events
        …
        assert [event.message for event in server.stored.values()] == …

Events are decoded and judged by `km_protocol`, as the real server does; ids are stored once. `received` counts every
event of every batch that was answered 200, so a duplicate delivery shows.
"""

from __future__ import annotations

import gzip
import http.server
import itertools
import json
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NamedTuple

import zstandard
from km_protocol import api_keys
from km_protocol.api_keys import ApiKey
from km_protocol.envelope import Event, check_timestamp, decode_events, message_text
from km_protocol.errors import EventError


class Fault(NamedTuple):
    """One answer in place of the right one. `after_storing`: the right one got lost on the way back; `cut`: so did a
    part of this one.
    """

    status: int
    retry_after: str | None = None
    body: bytes | None = None
    after_storing: bool = False
    cut: bool = False


class Answer(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it


class IngestServer:
    """Start it with `with`, or `start` and `stop`; a stopped one starts again on the same port with its memory."""

    def __init__(self) -> None:
        self.port = 0
        self.keys: set[str] = set()
        self.stored: dict[str, Event] = {}
        self.received = 0
        self.batches: list[int] = []
        self.encodings: list[str] = []
        self.exchanges = 0
        self.max_body = 32 * 1024 * 1024
        self.token_lives_seconds = 900
        self.reads_encodings = {"zstd", "gzip", "identity"}
        self.refuses: Callable[[Event], bool] = lambda _: False
        self.chokes_on: Callable[[Event], bool] = lambda _: False
        self.faults: deque[Fault] = deque()
        self.lock = threading.Lock()
        self._tokens: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._http: http.server.ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> IngestServer:
        handler = type("Handler", (_Handler,), {"service": self})
        self._http = _Server(("127.0.0.1", self.port), handler)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Refuse connections from now on."""
        if self._http is not None and self._thread is not None:
            self._http.shutdown()
            self._http.server_close()
            self._thread.join(10)
            self._http = None

    def __enter__(self) -> IngestServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def new_key(self) -> ApiKey:
        """A key this server knows."""
        key = api_keys.compose("test", f"{next(self._numbers):030d}")
        self.keys.add(key)
        return key

    def revoke(self, key: str) -> None:
        """The key and its tokens are worth nothing from now on."""
        with self.lock:
            self.keys.discard(key)
            self._tokens = {token: owner for token, owner in self._tokens.items() if owner != key}

    def forget_tokens(self) -> None:
        """Every token given so far is revoked; keys stay good."""
        with self.lock:
            self._tokens.clear()

    def fail_next(self, status: int, *, times: int = 1, **more: Any) -> None:
        self.faults.extend(Fault(status, **more) for _ in range(times))

    def messages(self) -> list[bytes]:
        """The stored messages, in the order of their sessions' sequences."""
        events = sorted(self.stored.values(), key=lambda event: (event.session_id or "", event.sequence or 0))
        return [bytes(event.message) for event in events]

    def exchange(self, body: bytes) -> Answer:
        self.exchanges += 1
        key = json.loads(body).get("ApiKey")
        if key not in self.keys:
            return _error(401, "unauthenticated", "the API key is not known")
        token = f"token-{next(self._numbers)}"
        self._tokens[token] = key
        lives = self.token_lives_seconds
        return Answer(200, {"success": True, "jwt": token, "expiresIn": lives, "expires_in": lives})

    def is_authorized(self, authorization: str | None) -> bool:
        token = (authorization or "").removeprefix("Bearer ")
        return self._tokens.get(token) in self.keys

    def take(self, body: bytes) -> Answer:
        """Judge and store one batch."""
        try:
            events = decode_events(body)
        except EventError as error:
            return _error(400, "invalid_event", str(error), error.hint)
        if any(isinstance(event, Event) and self.chokes_on(event) for event in events):
            return _error(400, "invalid_event", "the body cannot be read")
        rejected, duplicates = [], 0
        for index, event in enumerate(events):
            reason = self._reason_against(event)
            if reason or not isinstance(event, Event):
                rejected.append({"index": index, "id": "", "code": "invalid_event", "message": reason, "hint": ""})
            else:
                duplicates += event.id in self.stored
                self.stored.setdefault(event.id, event)
        self.received += len(events)
        self.batches.append(len(events))
        accepted = len(events) - len(rejected) - duplicates
        return Answer(200, {"success": True, "accepted": accepted, "duplicates": duplicates, "rejected": rejected})

    def _reason_against(self, event: Event | EventError) -> str:
        if isinstance(event, EventError):
            return str(event)
        try:
            message_text(event)
            check_timestamp(event.timestamp, now=datetime.now(UTC))
        except EventError as error:
            return str(error)
        return "refused by this test" if self.refuses(event) else ""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that keeps its connection open does not keep the test


class _Handler(http.server.BaseHTTPRequestHandler):
    service: IngestServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path == "/livez":
            self._send(Answer(200, {"status": "ok"}))
        elif not self.service.is_authorized(self.headers["Authorization"]):
            self._send(_error(401, "unauthenticated", "the token is not known"))
        else:
            self._send(Answer(200, {"tier": "Pro", "status": "active", "customer": {"name": "Example"}}))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        with self.service.lock:
            answer = self.service.exchange(body) if self.path == "/api/auth/exchange" else self._events(body)
        self._send(answer)

    def _events(self, body: bytes) -> Answer:
        if not self.service.is_authorized(self.headers["Authorization"]):
            return _error(401, "unauthenticated", "the token is not known")
        encoding = self.headers["Content-Encoding"] or "identity"
        self.service.encodings.append(encoding)
        if encoding not in self.service.reads_encodings:
            return _error(415, "unsupported_encoding", "this encoding is not read")
        plain = _inflated(body, encoding)
        if len(plain) > self.service.max_body:
            return _error(413, "payload_too_large", "the body is too large")
        if self.service.faults:
            return self._fail(self.service.faults.popleft(), plain)
        return self.service.take(plain)

    def _fail(self, fault: Fault, plain: bytes) -> Answer:
        if fault.after_storing:
            self.service.take(plain)
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
        if fault.cut:
            headers["Content-Length"] = "100000"
            self.close_connection = True
        if fault.body is not None:
            return Answer(fault.status, fault.body, headers)
        return _error(fault.status, "scripted", "this test wants it so")._replace(headers=headers)

    def _send(self, answer: Answer) -> None:
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Tests look at what was stored, not at a log."""


def _inflated(body: bytes, encoding: str) -> bytes:
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return gzip.decompress(body) if encoding == "gzip" else body


def _error(status: int, code: str, message: str, hint: str = "") -> Answer:
    return Answer(status, {"error": {"code": code, "message": message, "hint": hint}})
