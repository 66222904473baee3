"""The service's addresses that the client's registry calls, over real HTTP, honest until a test says otherwise.

with RegistryServer() as server:
    key = server.new_key("cus_a")
    server.registry.offer("cus_a", Maker(customer_id="cus_a")); server.registry.publish()
    server.answer("director/cus_a/timestamp.json", endless)      an attack; `server.honest()` ends all of them
"""

from __future__ import annotations

import http.server
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from km_protocol import api_keys
from km_protocol.api_keys import ApiKey

from tests.client.registry.signed import SignedRegistry

TUF = "/api/tuf/"
Pieces = Callable[[], Iterator[bytes]]
CUSTOMER = "cus_a"


class RegistryServer:
    """`lies` are pieces of an answer by path below `/api/tuf/`; `redirects` where such a path points instead;
    `not_ready` how often it is not there yet."""

    def __init__(self) -> None:
        self.registry = SignedRegistry()
        self.asked: Counter[str] = Counter()
        self.lies: dict[str, Pieces] = {}
        self.redirects: dict[str, str] = {}
        self.not_ready: Counter[str] = Counter()
        self.states: dict[str, list[str]] = {}
        self.ordered: list[list[str]] = []
        self._customers: dict[str, str] = {}
        self.let_go = threading.Event()
        handler = type("Handler", (_Handler,), {"service": self})
        self._http = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> RegistryServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)

    def new_key(self, customer: str = CUSTOMER) -> ApiKey:
        key = api_keys.compose("test", f"{len(self._customers) + 1:030d}")
        self._customers[key] = customer
        return key

    def customer_of(self, secret: str) -> str:
        """Whose key this is, or whose token."""
        return self._customers.get(secret.removeprefix("token-"), "")

    def answer(self, path: str, pieces: Pieces | bytes) -> None:
        """Give this instead of what the registry signed."""
        self.lies[path] = (lambda: iter((pieces,))) if isinstance(pieces, bytes) else pieces

    def honest(self) -> None:
        self.lies.clear()
        self.redirects.clear()

    def file(self, path: str) -> bytes | None:
        found = self.registry.files.get(path)
        if found is None and path.startswith("director/") and path.endswith(".root.json"):
            return self.registry.files.get(f"director/{path.rpartition('/')[2]}")
        return found


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle of an answer is what these tests want."""


class _Handler(http.server.BaseHTTPRequestHandler):
    service: RegistryServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        self.service.asked[self.path] += 1
        if self.path == "/api/auth/exchange":
            key = body["ApiKey"]
            known = bool(self.service.customer_of(key))
            self._json(200 if known else 401, {"jwt": f"token-{key}", "expiresIn": 900} if known else {"error": {}})
        elif self.path == "/api/plugins/provision":
            self.service.ordered.append(body["installed"])
            said = [{"name": name, "state": _next(found)} for name, found in self.service.states.items()]
            self._json(200, {"plugins": said})
        else:
            self._json(404, {"error": {"code": "not_found"}})

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.service.asked[path] += 1
        if path == "/api/subscription/status":
            self._json(200, {"customer_id": self._customer(), "tier": "Pro", "status": "active"})
        elif path.startswith(TUF):
            self._file(path.removeprefix(TUF))
        else:
            self._json(404, {"error": {"code": "not_found"}})

    def _customer(self) -> str:
        return self.service.customer_of(self.headers.get("Authorization", "").removeprefix("Bearer "))

    def _file(self, path: str) -> None:
        if path in self.service.redirects:
            self.send_response(302)
            self.send_header("Location", self.service.redirects[path])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.service.not_ready[path] > 0:
            self.service.not_ready[path] -= 1
            self._json(503, {"error": {"code": "not_yet_published"}})
        elif path in self.service.lies:
            self._pieces(self.service.lies[path]())
        elif self._is_anothers(path) or (data := self.service.file(path)) is None:
            self._json(404, {"error": {"code": "not_found"}})
        else:
            self._send(200, data)

    def _is_anothers(self, path: str) -> bool:
        return path.startswith("director/") and path.split("/")[1] != self._customer()

    def _pieces(self, pieces: Iterator[bytes]) -> None:
        """Until the client has had enough."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for piece in pieces:
            self.wfile.write(piece)
            self.wfile.flush()

    def _json(self, status: int, body: Any) -> None:
        self._send(status, json.dumps(body).encode())

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Not on a test's output."""


def _next(states: list[str]) -> str:
    """The last one stays."""
    return states.pop(0) if len(states) > 1 else states[0]
