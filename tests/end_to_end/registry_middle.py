"""Somebody between a laptop and its service: passes everything on, keeps what the registry said, and lies on demand.

with Middle(service.url) as middle:
    laptop.init(account, middle.url)
    old = middle.seen("director/cus_…")         {"/api/tuf/director/cus_…/timestamp.json": b"…"}, as last answered
    middle.lie = lambda path, data: old.get(path, data)       from now on the registry is as it was
    middle.lie = honest
    middle.is_down = True                       nobody is there
"""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import requests

REGISTRY = "/api/tuf/"
_OWN = {"connection", "transfer-encoding", "content-encoding", "content-length", "keep-alive"}
_SECONDS = 60.0
Lie = Callable[[str, bytes], bytes]


def honest(path: str, data: bytes) -> bytes:
    """What the service said."""
    return data


class Middle:
    """One proxy. `lie` gets each path of the registry and the service's true answer to it."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.lie: Lie = honest
        self.is_down = False
        self._seen: dict[str, bytes] = {}
        self._http = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"middle": self}))
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)

    def seen(self, word: str = "") -> dict[str, bytes]:
        """What the registry last answered, truly, at each path that holds `word`."""
        return {path: data for path, data in list(self._seen.items()) if word in path}

    def said(self, path: str, data: bytes) -> bytes:
        """The answer that is given for the registry's true one."""
        self._seen[path] = data
        return self.lie(path, data)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle of an answer has seen enough."""


class _Handler(http.server.BaseHTTPRequestHandler):
    middle: Middle
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.middle.is_down:
            self.close_connection = True  # without an answer: as a server that was cut off
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {"host", *_OWN}}
        answer = requests.request(
            self.command,
            self.middle.upstream + self.path,
            data=body,
            headers=headers | {"Accept-Encoding": "identity"},
            timeout=_SECONDS,
            allow_redirects=False,
        )
        data, path = answer.content, self.path.partition("?")[0]
        if path.startswith(REGISTRY) and answer.status_code == 200:
            data = self.middle.said(path, data)
        self.send_response_only(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in _OWN:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Not on a test's output."""
