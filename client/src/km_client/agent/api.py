"""The server's API as this client uses it: exchange a key, ask what it allows, post events. One call, one answer.

    api = Api("https://kilometers.example.com", key)
    token = api.exchange()                 → Answer(200, b'{"jwt":"eyJ…","expiresIn":900,…}', …)

A server that cannot be talked to raises `UnreachableError`; every HTTP status is an answer, for the caller to judge.
Nothing is followed and nothing is taken from `~/.netrc`: a redirected POST is no POST, and netrc would replace the key.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec
import requests
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as LateError

from km_client import __version__

CONNECT_SECONDS = 10.0  # longer than a cold TLS handshake on a mobile network
READ_SECONDS = 30.0  # a server this slow has failed
MAX_ANSWER_BYTES = 4 * 1024 * 1024  # 2,000 refusals with their reasons; anything longer is no answer of ours
PIECE_BYTES = 64 * 1024


class UnreachableError(Exception):
    """The server could not be talked to at all. `str(error)` says why, in words."""


class Answer(NamedTuple):
    """One HTTP answer. Header values are as sent, or `None`."""

    status: int
    body: bytes
    retry_after: str | None = None
    date: str | None = None

    def field(self, *names: str) -> Any:
        """A member of the JSON object in the body, by any of its spellings; `None` if there is none."""
        found = self.json()
        return next((found[name] for name in names if name in found), None)

    def json(self) -> dict[str, Any]:
        """The JSON object in the body; empty if it is anything else."""
        try:
            found = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def error(self) -> tuple[str, str, str]:
        """(code, message, hint) of `{"error": {…}}`; empty where it says nothing."""
        error = self.json().get("error")
        members = error if isinstance(error, dict) else {}
        code, message, hint = (members.get(name) for name in ("code", "message", "hint"))
        return str(code or ""), str(message or ""), str(hint or "")


class Token(NamedTuple):
    """An access token and how long it lives, in seconds from when it was asked for."""

    jwt: str
    lives_seconds: float


class Download(NamedTuple):
    """An answer whose body is taken in pieces: `piece()` is what one read of the connection gave, empty at the end."""

    status: int
    piece: Callable[[], bytes]


class _Bearer(requests.auth.AuthBase):
    """Given for every call, so that `requests` never looks into `~/.netrc`."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Api:
    """One server and one key, on one connection. Not for two threads."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self._key = key
        self._http = requests.Session()
        self._http.headers["User-Agent"] = f"km-client/{__version__}"
        self._http.trust_env = not _is_this_machine(self.url)  # a proxy cannot reach this machine's own server

    def exchange(self) -> Answer:
        """Ask for an access token. A good answer goes through `token_in`."""
        return self._call("POST", "/api/auth/exchange", json={"ApiKey": self._key})

    def start_login(self, told: Mapping[str, object]) -> Answer:
        """Ask for the codes of a login that a person is to confirm."""
        return self._call("POST", "/api/auth/device-code/start", json=told)

    def poll_login(self, device_code: str) -> Answer:
        """Whether it is confirmed: 200 with the key, else 400 with `{"error": "authorization_pending"}` or another."""
        return self._call("POST", "/api/auth/device-code/poll", json={"deviceCode": device_code})

    def log_out(self) -> Answer:
        """Give back the key of this machine's login."""
        return self._call("POST", "/api/auth/logout", token=self._key)

    def subscription_status(self, token: str, machine: str = "") -> Answer:
        """`token` is an access token or a key; the lease in the answer is for `machine`, or for any if it is empty."""
        query = f"?{urlencode({'machine': machine})}" if machine else ""
        return self._call("GET", f"/api/subscription/status{query}", token=token)

    def key_set(self) -> Answer:
        """The public keys that verify what the server signed, as a JWK Set (RFC 7517)."""
        return self._call("GET", "/.well-known/jwks.json")

    def authenticate_plugin(self, token: str, *, name: str, version: str, signature: str, customer_id: str) -> Answer:
        """Ask for a plugin's own token. `signature` is empty for a plugin that nobody signed, such as one's own."""
        asked = {
            "plugin_name": name,
            "plugin_version": version,
            "plugin_signature": signature,
            "customer_id": customer_id,
        }
        return self._call("POST", "/api/plugins/authenticate", token=token, json=asked)

    def post_events(self, body: bytes, encoding: str, token: str) -> Answer:
        """`body` is a batch, already encoded as `encoding` says (`identity` for not at all)."""
        headers = {"Content-Type": "application/json"}
        if encoding != "identity":
            headers["Content-Encoding"] = encoding
        return self._call("POST", "/api/events", token=token, data=body, headers=headers)

    def report_machine(self, token: str, told: Mapping[str, object]) -> Answer:
        """Say which machine this is and how its plugins stand. A server that knows no machines answers 404."""
        return self._call("POST", "/api/machines", token=token, json=told)

    def provision(self, token: str, *, platform: str, installed: Sequence[str] = ()) -> Answer:
        """Ask which plugins this customer may have on such a machine; those that are missing are built."""
        asked = {"platform": platform, "installed": list(installed)}
        return self._call("POST", "/api/plugins/provision", token=token, json=asked)

    @contextmanager
    def download(self, path: str, token: str, *, read_seconds: float) -> Iterator[Download]:
        """Ask for a file. No read waits longer than `read_seconds`; how many there may be is the caller's to say."""
        try:
            with self._http.get(
                self.url + path,
                auth=_Bearer(token),
                headers={"Accept-Encoding": "identity"},
                timeout=(CONNECT_SECONDS, read_seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                yield Download(response.status_code, lambda: response.raw.read1(PIECE_BYTES))
        except (requests.RequestException, HTTPError, OSError) as error:
            raise UnreachableError(self._in_words(error)) from error

    def submit_source(self, body: bytes, media_type: str, visibility: str) -> Answer:
        """Send a plugin's source to be reviewed, with the key itself; `visibility` may be empty."""
        query = f"?{urlencode({'visibility': visibility})}" if visibility else ""
        headers = {"Content-Type": media_type}
        return self._call("POST", f"/api/registry/submissions{query}", token=self._key, data=body, headers=headers)

    def health(self) -> Answer:
        return self._call("GET", "/livez")

    def close(self) -> None:
        self._http.close()

    def _call(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        json: Mapping[str, object] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        try:
            with self._http.request(
                method,
                self.url + path,
                auth=_Bearer(token),
                json=json,
                data=data,
                headers=headers,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = response.raw.read(MAX_ANSWER_BYTES, decode_content=True)
                found = response.headers
                return Answer(response.status_code, body, found.get("Retry-After"), found.get("Date"))
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise UnreachableError(self._in_words(error)) from error

    def _in_words(self, error: Exception) -> str:
        if isinstance(error, requests.exceptions.SSLError):
            return f"cannot reach {self.url}: its certificate is not trusted"
        if isinstance(error, requests.Timeout | LateError):
            return f"cannot reach {self.url}: no answer in time"
        if isinstance(error, requests.exceptions.ProxyError):
            return f"cannot reach {self.url}: the proxy refused"
        text = str(error)
        known = ("Connection refused", "Name or service not known", "Temporary failure in name resolution")
        cause = next((words for words in known if words in text), "the connection failed")
        return f"cannot reach {self.url}: {cause.lower()}"


def token_in(answer: Answer) -> Token | None:
    """The token in the answer to `exchange`, or `None` if it is no such answer."""
    jwt, lives = answer.field("jwt"), answer.field("expires_in", "expiresIn")
    if (
        answer.status != 200
        or not isinstance(jwt, str)
        or isinstance(lives, bool)
        or not isinstance(lives, int | float)
    ):
        return None
    return Token(jwt, float(lives))


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
