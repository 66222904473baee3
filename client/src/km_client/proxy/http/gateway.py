"""What all connections of one listener share, and how a head is changed on its way: as little as HTTP allows.

To the server: `Host` becomes the server's, what concerns one connection only goes (RFC 9110 §7.6.1), `Via` is added
(§7.6.3), and what `--url` or `--header` say that the client did not. To the client: what concerns one connection only
goes, and a `Location` on the server's own origin leads back through here. Everything else keeps its bytes and order.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from km_client.proxy.http import heads
from km_client.proxy.http.copies import Room
from km_client.proxy.http.dialling import DialError, Dialler
from km_client.proxy.http.guard import VIA, Guard
from km_client.proxy.http.heads import BadMessageError, Headers, RequestHead, ResponseHead
from km_client.proxy.http.runs import Runs
from km_client.proxy.http.tape import Tape
from km_client.proxy.http.target import Target

if TYPE_CHECKING:
    from km_client.proxy.http.held import HeldExchange, HeldExchanges

Say = Callable[[str], None]
UNREACHABLE_CODE = -32000  # JSON-RPC's range for what a server defines
_CLOSE = (b"Connection", b"close")


class Gateway:
    """`say` tells a person, `debug` one who asked to hear more; `extra` are the fields of `--header`."""

    def __init__(
        self,
        dialler: Dialler,
        guard: Guard,
        runs: Runs,
        extra: Headers,
        say: Say,
        debug: Say,
        held: HeldExchanges | None = None,
    ) -> None:
        self.dialler = dialler
        self.guard = guard
        self.runs = runs
        self._target: Target = dialler.target
        self.debug = debug
        self._say = say
        self._held = held
        self._complaints: set[str] = set()
        self._room = Room()
        self._numbers = count(1)
        self._told, self._meant = _up_to_the_secret(self._target)
        self._extra = extra
        self._replaced = {name.lower() for name, _ in extra} | {b"host"}

    def tape(self, head: RequestHead) -> Tape:
        return Tape(self.runs, self._room, self._target.endpoint, head, next(self._numbers), self._target.hide)

    def aimed(self, head: RequestHead) -> RequestHead:
        """`head` with the server's own path: what of it is a secret is not in the address that the client was given."""
        if self._told == self._meant:
            return head
        path, mark, query = head.target.partition(b"?")
        return head._replace(target=path.replace(self._told, self._meant, 1) + mark + query)

    def held(self, head: RequestHead, tape: Tape) -> HeldExchange | None:
        """What holds changed tools back in this exchange, if that is wanted."""
        return self._held.begin(head, tape) if self._held else None

    def complain(self, error: DialError) -> None:
        """Tell a person, once for each kind of trouble."""
        if str(error) not in self._complaints:
            self._complaints.add(str(error))
            self._say(f"{error}; {error.hint}")

    def to_server(self, head: RequestHead) -> RequestHead:
        kept = [field for field in heads.end_to_end(head.headers) if field[0].lower() not in self._replaced]
        headers = [(b"Host", self._target.authority.encode()), *kept, *self._extra]
        if self._target.authorization and not heads.values(headers, b"authorization"):
            headers.append((b"Authorization", self._target.authorization.encode()))
        if heads.body_length(head.headers, head.minor) == heads.CHUNKED:
            headers.append((b"Transfer-Encoding", b"chunked"))
        if not heads.stays_open(head):
            headers.append(_CLOSE)
        headers.append((b"Via", VIA))
        return RequestHead(head.method, self._with_query(head.target), 1, headers)

    def to_client(self, head: ResponseHead, *, chunked: bool = False, closes: bool = False) -> ResponseHead:
        headers = [
            (name, self._back_here(content) if name.lower() == b"location" else content)
            for name, content in heads.end_to_end(head.headers)
            if not (chunked and name.lower() == b"content-length")
        ]
        if chunked:
            headers.append((b"Transfer-Encoding", b"chunked"))
        if closes:
            headers.append(_CLOSE)
        return ResponseHead(head.status, head.reason, 1, headers)

    def cannot_reach(self, error: DialError) -> bytes:
        """Our own answer in place of a server that nobody reaches: MCP clients show the message of a JSON-RPC error."""
        return _answer(HTTPStatus.BAD_GATEWAY, f"km-client: {error}; {error.hint}")

    def _with_query(self, target: bytes) -> bytes:
        """A key that stands in the query of `--url` is not in the address that the client was given."""
        _, mark, query = self._target.path.partition("?")
        return target + f"?{query}".encode() if mark and target == self._target.endpoint.encode() else target

    def _back_here(self, location: bytes) -> bytes:
        try:
            parts = urlsplit(location.decode("latin-1"))
        except ValueError:  # no address at all: the client may make of it what it would without us
            return location
        same = parts.scheme == self._target.scheme and parts.netloc.lower() == self._target.authority.lower()
        if not same or parts.path.startswith(("//", "/\\")):  # without an origin before it, it would name another host
            return location
        return parts._replace(scheme="", netloc="", path=parts.path or "/").geturl().encode("latin-1")


def _up_to_the_secret(target: Target) -> tuple[bytes, bytes]:
    """The shown path and the real one, each to the end of its last secret: what lies below has them in common."""
    shown, real = target.shown_endpoint.split("/"), target.endpoint.split("/")
    last = max((place for place, part in enumerate(shown) if part != real[place]), default=0)
    return "/".join(shown[: last + 1]).encode(), "/".join(real[: last + 1]).encode()


def refusal_of(error: BadMessageError) -> bytes:
    """Our own answer to what is no proper request."""
    return _answer(error.status, f"km-client: {error}")


def _answer(status: int, message: str) -> bytes:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": UNREACHABLE_CODE, "message": message}}
    body = json.dumps(error).encode()
    headers = [(b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(body)), _CLOSE]
    return heads.encode_response(ResponseHead(status, HTTPStatus(status).phrase.encode(), 1, headers)) + body
