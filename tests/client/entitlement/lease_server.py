"""A Kilometers server in this process that knows keys and customers, signs leases and tokens, and can be told to fail.

    with LeaseServer(clock) as server:
        key = server.new_key(tier="Pro", features=["console_logging", "api_logging"])
        server.fail(STATUS, 503)                   until `server.heal(STATUS)`
        server.customer(key).tier = "Free"         the next lease says so

Signatures are real Ed25519, the claims are `km_protocol`'s, and `seq` is counted as the real server counts it. `twist`
changes the claims of the next leases before they are signed, `lease_instead` is given in place of any.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from km_protocol import api_keys
from km_protocol.api_keys import ApiKey
from km_protocol.claims import GRACE_SECONDS, LEASE_SECONDS, LEASE_TYPE, TOKEN_TYPE

STATUS = "/api/subscription/status"
KEYS = "/.well-known/jwks.json"
AUTHENTICATE = "/api/plugins/authenticate"


@dataclass
class Customer:
    """Who a key belongs to. `refusal` is the code of a 401, such as `revoked_api_key`."""

    public_id: str
    tier: str = "Pro"
    status: str = "active"
    features: list[str] = field(default_factory=lambda: ["console_logging", "api_logging"])
    plugins: dict[str, list[str]] = field(default_factory=dict)
    refusal: str = ""
    seq: int = 0


class Signer(NamedTuple):
    kid: str
    key: Ed25519PrivateKey

    @classmethod
    def new(cls, kid: str) -> Signer:
        return cls(kid, Ed25519PrivateKey.generate())

    @property
    def jwk(self) -> dict[str, str]:
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        x = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        return {"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "alg": "EdDSA", "use": "sig", "x": x}

    def sign(self, claims: dict[str, Any], kind: str = LEASE_TYPE) -> str:
        return jwt.encode(claims, self.key, algorithm="EdDSA", headers={"kid": self.kid, "typ": kind})

    def hs256(self, claims: dict[str, Any]) -> str:
        """What somebody can make who has nothing but the public key."""
        secret = hashlib.sha256(self.jwk["x"].encode()).hexdigest()
        return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": self.kid, "typ": LEASE_TYPE})

    def unsigned(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, "", algorithm="none", headers={"kid": self.kid, "typ": LEASE_TYPE})


class Answer(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it


class LeaseServer:
    """Start it with `with`; a stopped one starts again on the same port with its memory."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.port = 0
        self.signer = Signer.new("first")
        self.published = [self.signer]
        self.refresh_seconds = 300
        self.token_seconds = 900
        self.twist: dict[str, Any] = {}
        self.token_twist: dict[str, Any] = {}
        self.lease_instead: str | None = None
        self.asked: Counter[str] = Counter()
        self.machines: list[str] = []
        self.plugins_asked: list[dict[str, str]] = []
        self.let_go = threading.Event()
        self.held = threading.Event()
        self._customers: dict[str, Customer] = {}
        self._faults: dict[str, Answer] = {}
        self._hanging = ""
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.is_stopped = True
        self._http: http.server.ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> LeaseServer:
        handler = type("Handler", (_Handler,), {"service": self})
        self._http = _Server(("127.0.0.1", self.port), handler)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.is_stopped = False
        return self

    def stop(self) -> None:
        """Refuse connections from now on, and end those there are."""
        self.is_stopped = True
        self.let_go.set()
        if self._http is not None and self._thread is not None:
            self._http.shutdown()
            self._http.server_close()
            self._thread.join(10)
            self._http = None

    def __enter__(self) -> LeaseServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def new_key(self, **customer: Any) -> ApiKey:
        """The key of a new customer."""
        number = next(self._numbers)
        key = api_keys.compose("test", f"{number:030d}")
        self._customers[key] = Customer(f"cus_{number}", **customer)
        return key

    def customer(self, key: str) -> Customer:
        return self._customers[key]

    def fail(self, path: str, status: int, code: str = "scripted", **headers: str) -> None:
        """Answer `path` so until `heal`. An empty code is a body that is none of ours."""
        body = {"error": {"code": code, "message": "this test wants it so", "hint": ""}} if code else b"<html>hello"
        self._faults[path] = Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def heal(self, path: str) -> None:
        self._faults.pop(path, None)

    def hang(self, path: str) -> None:
        """Take requests to `path` and answer none until `let_go` is set; `held` tells that one is there."""
        self._hanging = path

    def rotate(self, kid: str, *, keep: bool = True) -> None:
        """Sign with a new key; without `keep`, the old ones are no longer published."""
        self.signer = Signer.new(kid)
        self.published = [*self.published, self.signer] if keep else [self.signer]

    def claims(self, customer: Customer, machine: str) -> dict[str, Any]:
        """The next lease's."""
        customer.seq += 1
        now = int(self.clock())
        return {
            "sub": customer.public_id,
            "iat": now,
            "refresh_after": now + self.refresh_seconds,
            "exp": now + LEASE_SECONDS,
            "grace_until": now + GRACE_SECONDS,
            "status": customer.status,
            "tier": customer.tier,
            "features": sorted(customer.features),
            "plugins": customer.plugins,
            "quotas": {},
            "machine": machine,
            "seq": customer.seq,
            "iss": "kilometers",
            "aud": "km:lease",
        } | self.twist

    def answer(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        parts = urlsplit(target)
        with self._lock:
            self.asked[parts.path] += 1
        if parts.path == self._hanging:
            self.held.set()
            self.let_go.wait(60)
        with self._lock:
            if parts.path in self._faults:
                return self._faults[parts.path]
            if (method, parts.path) == ("GET", KEYS):
                return Answer(200, {"keys": [signer.jwk for signer in self.published]})
            customer = self._customers.get(authorization.removeprefix("Bearer "))
            if customer is None:
                return _error(401, "unknown_api_key", f"no such API key: {authorization}")
            if customer.refusal:
                return _error(401, customer.refusal, "the API key was refused")
            if (method, parts.path) == ("GET", STATUS):
                return self._status(customer, parse_qs(parts.query).get("machine", [""])[0])
            if (method, parts.path) == ("POST", AUTHENTICATE):
                return self._authenticate(customer, json.loads(body))
        return _error(404, "not_found", "there is nothing here")

    def _status(self, customer: Customer, machine: str) -> Answer:
        self.machines.append(machine)
        lease = self.lease_instead or self.signer.sign(self.claims(customer, machine))
        said = {"tier": customer.tier, "status": customer.status, "features": customer.features, "quotas": {}}
        return Answer(200, {"customer_id": customer.public_id, "lease": lease, **said})

    def _authenticate(self, customer: Customer, asked: dict[str, str]) -> Answer:
        self.plugins_asked.append(asked)
        if asked["customer_id"] != customer.public_id:
            return _error(403, "wrong_customer", "that is somebody else")
        now = int(self.clock())
        claims = {
            "sub": customer.public_id,
            "customer_id": customer.public_id,
            "tier": customer.tier,
            "features": sorted(customer.features),
            "iat": now,
            "exp": now + self.token_seconds,
            "jti": f"tok_{next(self._numbers)}",
            "iss": "kilometers",
            "aud": f"km:plugin:{asked['plugin_name']}",
            "ver": 1,
            "client_id": "key_1",
            "plugin_version": asked["plugin_version"],
        } | self.token_twist
        token = self.signer.sign(claims, TOKEN_TYPE)
        return Answer(200, {"success": True, "token": token, "expires_at": claims["exp"], "authorized_features": []})


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that keeps its connection open does not keep the test


class _Handler(http.server.BaseHTTPRequestHandler):
    service: LeaseServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._respond(b"")

    def do_POST(self) -> None:
        self._respond(self.rfile.read(int(self.headers["Content-Length"] or 0)))

    def _respond(self, body: bytes) -> None:
        answer = self.service.answer(self.command, self.path, self.headers["Authorization"] or "", body)
        if self.service.is_stopped:
            self.close_connection = True
            return
        content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Tests look at what was asked, not at a log."""


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message, "hint": ""}})
