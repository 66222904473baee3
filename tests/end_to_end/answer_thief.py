"""A network that fails at the worst moment: the service has stored the events, and its answer never arrives.

    with AnswerThief(service.url, thefts=2, on_theft=kill_the_agent) as thief: laptop.init(account, thief.url)

Passes every request on; the answers to the first `thefts` batches of events are dropped with the connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import requests

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host"}


class AnswerThief:
    """Stands at `url` in front of `target` while entered."""

    def __init__(self, target: str, *, thefts: int, on_theft: Callable[[], object] = lambda: None) -> None:
        self.stolen = 0
        self._target = target
        self._thefts = thefts
        self._on_theft = on_theft
        self._turn = threading.Lock()
        thief = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                thief.pass_on(self)

            def do_POST(self) -> None:
                thief.pass_on(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def pass_on(self, request: BaseHTTPRequestHandler) -> None:
        """One request to the target, and its answer back, or not."""
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        answer = requests.request(request.command, self._target + request.path, headers=headers, data=body, timeout=30)
        if request.path == "/api/events" and answer.status_code == 200 and self._steals():
            self._on_theft()
            request.close_connection = True
            return
        request.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in HOP_BY_HOP:
                request.send_header(name, value)
        request.send_header("Content-Length", str(len(answer.content)))
        request.end_headers()
        request.wfile.write(answer.content)

    def _steals(self) -> bool:
        with self._turn:
            if self.stolen == self._thefts:
                return False
            self.stolen += 1
            return True
