"""A server for `POST /api/events` on a loopback port, with the real one's rules that a client depends on.

    with EventsApi() as api:
        api.answers = [(503, {"Retry-After": "0"}), (200, {})]    # what to answer first; 200 after that
        ApiClient(api.endpoint, "token").send(events)
    assert [event["id"] for event in api.events] == […]

It knows an event by its id (a retry is a duplicate, not a second event), wants a bearer token, and inflates gzip.
"""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class EventsApi:
    """`events` are those stored, in order; `requests` counts every try; `tokens` are those shown."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.events: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.requests = 0
        self.max_events = 2000  # a body with more is answered 413
        self.arrived = threading.Condition()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                status, headers, answer = api.answer(self.path, self.headers.get("Authorization", ""), body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Tests read `requests`, not stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_for(self, count: int, *, timeout: float = 10.0) -> bool:
        """Whether `count` events were stored in time."""
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.events) >= count, timeout)

    def answer(self, path: str, authorization: str, body: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
        """(status, headers, JSON) for one request."""
        with self.arrived:
            self.requests += 1
            scheme, _, token = authorization.partition(" ")
            self.tokens.append(token)
            status, headers = self.answers.pop(0) if self.answers else (200, {})
            if path != "/api/events" or scheme != "Bearer" or not token:
                status = 404 if path != "/api/events" else 401
            events = json.loads(body)["events"]
            if status == 200 and len(events) > self.max_events:
                status = 413
            if status != 200:
                return (
                    status,
                    headers,
                    {"error": {"code": f"http_{status}", "message": "refused", "hint": "by the test"}},
                )
            return 200, headers, self._store(events)

    def _store(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        known = {event["id"] for event in self.events}
        new = [event for event in events if event["id"] not in known]
        self.events += new
        self.arrived.notify_all()
        return {"success": True, "accepted": len(new), "duplicates": len(events) - len(new), "rejected": []}
