"""One webhook, signed as Standard Webhooks 1.0 has it, sent to one resolved address, within a time and a size.

    signatures("msg_…", 1795361400, body, ["whsec_…"])   → "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="
    post(url, body, headers, networks)                   → Answer(status=204, duration_ms=12.5, …)

Signed is `{webhook-id}.{webhook-timestamp}.{body}`, by HMAC-SHA-256 with the bytes that the secret is the base64 of.
Nothing is followed, no proxy is asked, and what does not answer within `DEADLINE_SECONDS` all in all is cut off,
however slowly it goes on talking.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from functools import cache

from alerts import addresses
from alerts.addresses import ForbiddenAddress, Networks, Unresolved
from core import clock
from core.errors import InvalidRequest

DEADLINE_SECONDS = 10.0  # a receiver takes a message and works on it later
KEPT_BYTES = 500  # of the answer, for whoever looks for a mistake
PREFIX = "whsec_"
SECRET_BYTES = 32  # as long as the HMAC's own output; 24 to 64 are allowed
LONGEST_WAIT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try: `status` is 0 where nobody answered, and `error` says why. After one that `is_final`, no
    other helps."""

    status: int = 0
    error: str = ""
    text: str = ""
    duration_ms: float = 0.0
    retry_after: timedelta | None = None
    is_final: bool = False

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


def new_secret() -> str:
    """`whsec_` + base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signatures(message_id: str, timestamp: int, body: bytes, keys: Iterable[str]) -> str:
    """The header `webhook-signature`: one signature for each secret, with spaces between."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    made = (hmac.digest(base64.b64decode(key.removeprefix(PREFIX)), signed, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(each).decode()}" for each in made)


def post(
    url: str, body: bytes, headers: Mapping[str, str], networks: Networks, *, deadline_seconds: float = DEADLINE_SECONDS
) -> Answer:
    """One try. What goes wrong is in the answer, nothing is raised."""
    begun, cut = time.monotonic(), None
    try:
        parts = addresses.check(url, networks)
    except InvalidRequest as error:  # the operator allows less than when it was entered
        return Answer(error=error.message)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        address = addresses.resolve(parts.hostname or "", port, networks, plain=parts.scheme == "http")
        connection = _Pinned(parts.hostname or "", port, address, tls=parts.scheme == "https")
        with _Cut(connection, deadline_seconds - (time.monotonic() - begun)) as cut:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            answer = _ask(connection, target, body, headers)
    except (ForbiddenAddress, Unresolved) as error:
        answer = Answer(error=str(error))
    except (OSError, http.client.HTTPException) as error:
        slow = isinstance(error, TimeoutError) or (cut is not None and cut.has_cut)
        words = f"no answer within {deadline_seconds:g} s" if slow else f"{type(error).__name__}: {error}"
        answer = Answer(error=words)
    took = 1000 * (time.monotonic() - begun)
    return Answer(answer.status, answer.error[:200], answer.text, took, answer.retry_after)


def _ask(connection: http.client.HTTPConnection, target: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    connection.request("POST", target, body, {**headers, "Connection": "close"})
    response = connection.getresponse()
    text = response.read(KEPT_BYTES).decode(errors="replace").replace("\0", "\ufffd")
    moved = f"it answers {response.status}; redirects are not followed" if 300 <= response.status < 400 else ""
    return Answer(response.status, moved, text, retry_after=_retry_after(response.getheader("Retry-After", "")))


class _Pinned(http.client.HTTPConnection):
    """A connection to `host` at `address` and nowhere else; the certificate must be the host's."""

    def __init__(self, host: str, port: int, address: str, *, tls: bool) -> None:
        super().__init__(host, port, timeout=DEADLINE_SECONDS)
        self.default_port = 443 if tls else 80  # the Host header leaves it out
        self._address = address
        self._tls = tls
        self.raw: socket.socket | None = None

    def connect(self) -> None:
        self.raw = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self.raw
        if self._tls:
            self.raw = self.sock = _trust().wrap_socket(
                self.raw, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()


class _Cut:
    """Closes a connection when its time is over: a timeout alone begins anew with every byte that comes."""

    def __init__(self, connection: _Pinned, seconds: float) -> None:
        self._connection = connection
        self._timer = threading.Timer(max(0.001, seconds), self._cut)
        self._timer.daemon = True
        self.has_cut = False

    def __enter__(self) -> _Cut:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._connection.close()

    def _cut(self) -> None:
        self.has_cut = True
        raw = self._connection.raw
        if raw is not None:
            try:
                socket.socket.shutdown(raw, socket.SHUT_RDWR)  # not SSLSocket's own, which another thread reads from
            except OSError:
                return  # it is closed already


@cache
def _trust() -> ssl.SSLContext:
    """Whom this machine trusts, read once: it takes as long as a request."""
    return ssl.create_default_context()


def _retry_after(header: str) -> timedelta | None:
    """RFC 9110 §10.2.3: seconds or a date. What is longer than a day is a day."""
    header = header.strip()
    if header.isascii() and header.isdigit():
        return min(timedelta(seconds=int(header[:9])), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return None
    wait = moment.astimezone(UTC) - clock.now()
    return max(timedelta(), min(wait, LONGEST_WAIT))
