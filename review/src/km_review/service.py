"""The service, asked as this reviewer: every request carries a proof by the key, and no other secret.

    service = Service("https://km.example", key)
    service.queue() → Queue(revisions=[Listed("rev_…", "slow-tools", "1.2.0", …)])

TLS is required except on the machine itself: who could change answers could have another payload signed. Redirects are
not followed and bodies are read up to a size.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

import msgspec
import requests
from km_protocol import reviewing
from km_protocol.kmpkg import keys
from km_protocol.kmpkg.limits import LIMITS

from km_review import __version__, wire
from km_review.errors import ReviewError
from km_review.key_file import KeyFile

TIMEOUT_SECONDS = (5.0, 60.0)  # to connect; between two reads of a payload that may come from slow storage
MAX_ANSWER_BYTES = 4 * 1024 * 1024  # a queue of a thousand revisions has 600 KB
_CHUNK = 64 * 1024
_LOCAL = {"localhost", "127.0.0.1", "::1"}
Shape = TypeVar("Shape")


class Service:
    """`base` is the service's address. Raises `ReviewError` for anything but a good answer."""

    def __init__(self, base: str, key: KeyFile) -> None:
        self._base = checked(base)
        self._prefix = urlsplit(self._base).path
        self._key = key
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"km-review/{__version__}"

    def register(self, challenge: str) -> wire.Registered:
        """Prove to hold the key, in answer to the console's `challenge`."""
        signature = self._key.sign(reviewing.possession_bytes(challenge, self._key.public))
        asked = {
            "challenge": challenge,
            "public_key": keys.to_text(self._key.public),
            "signature": reviewing.signature_text(signature),
        }
        return self._call("POST", "/api/review/keys", wire.Registered, msgspec.json.encode(asked))

    def queue(self) -> wire.Queue:
        return self._call("GET", "/api/review/revisions", wire.Queue)

    def revision(self, public_id: str) -> wire.Shown:
        return self._call("GET", f"/api/review/revisions/{quote(public_id, safe='')}", wire.Shown)

    def fetch_payload(self, public_id: str, platform: str, into: Path) -> None:
        """The reviewed payload's archive. It is only data until its digest was recomputed."""
        target = f"/api/review/revisions/{quote(public_id, safe='')}/payloads/{quote(platform, safe='')}"
        left = LIMITS.archive
        with self._send("GET", target, b"") as response, into.open("wb") as file:
            for chunk in response.iter_content(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise ReviewError("payload_too_large", f"the payload has more than {LIMITS.archive:,} bytes")
                file.write(chunk)

    def upload(self, public_id: str, platform: str, envelope: bytes) -> wire.Signed:
        """Hand in a signature."""
        body = msgspec.json.encode({"platform": platform, "envelope": envelope.decode("ascii")})
        target = f"/api/review/revisions/{quote(public_id, safe='')}/approvals"
        return self._call("POST", target, wire.Signed, body)

    def drafts(self) -> wire.Drafts:
        return self._call("GET", "/api/review/releases", wire.Drafts)

    def sign_draft(self, draft: wire.Draft, signature: bytes) -> wire.Accepted:
        """Hand in a signature under catalog metadata."""
        asked = {
            "repository": draft.repository,
            "role": draft.role,
            "version": draft.version,
            "signature": reviewing.signature_text(signature),
        }
        return self._call("POST", "/api/review/releases", wire.Accepted, msgspec.json.encode(asked))

    def _call(self, method: str, target: str, shape: type[Shape], body: bytes = b"") -> Shape:
        with self._send(method, target, body) as response:
            data = _read(response)
        try:
            return msgspec.json.decode(data, type=shape)
        except msgspec.DecodeError as error:
            raise ReviewError("bad_answer", f"{self._base} answered something else: {error}", _CHECK_ADDRESS) from None

    def _send(self, method: str, target: str, body: bytes) -> requests.Response:
        at = int(time.time())
        signature = self._key.sign(reviewing.request_bytes(method, self._prefix + target, at, body))
        headers = {"Authorization": reviewing.authorization(reviewing.Proof(self._key.keyid, at, signature))}
        if body:
            headers["Content-Type"] = "application/json"
        try:
            response = self._session.request(
                method,
                self._base + target,
                data=body or None,
                headers=headers,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as error:
            cause = type(error).__name__
            raise ReviewError("unreachable", f"{self._base} cannot be reached ({cause})", _CHECK_ADDRESS) from None
        if not response.ok or response.is_redirect:
            raise self._refused(response)
        return response

    def _refused(self, response: requests.Response) -> ReviewError:
        with response:
            data = _read(response)
        try:
            problem = msgspec.json.decode(data, type=wire.Refusal).error
        except msgspec.DecodeError:
            return ReviewError("bad_answer", f"{self._base} answered {response.status_code}", _CHECK_ADDRESS)
        return ReviewError(problem.code, problem.message, problem.hint)


def checked(base: str) -> str:
    """`base` without a slash at its end. Raises `ReviewError` unless it is `https`, or this machine."""
    parts = urlsplit(base)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ReviewError("bad_address", f"`{base}` is not the address of a service", "such as `https://km.example`")
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        hint = "use `https://`: whoever can change answers on their way could have another payload signed"
        raise ReviewError("no_tls", f"`{base}` is not encrypted", hint)
    return base.rstrip("/")


def _read(response: requests.Response) -> bytes:
    data = b""
    try:
        for chunk in response.iter_content(_CHUNK):
            data += chunk
            if len(data) > MAX_ANSWER_BYTES:
                raise ReviewError("bad_answer", f"the answer has more than {MAX_ANSWER_BYTES:,} bytes", _CHECK_ADDRESS)
    except requests.RequestException as error:
        raise ReviewError("unreachable", f"the answer broke off ({type(error).__name__})", "try again") from None
    return data


_CHECK_ADDRESS = "check `--server`"
