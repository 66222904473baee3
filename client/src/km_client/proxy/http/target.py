"""The server a run is for: its URL taken apart, and what may be shown or written down of it.

target = parse_url("https://user:pw@mcp.example.com/s/9fKqT2vLx0Zr/mcp?key=secret")
target.host, target.port, target.path     ->  "mcp.example.com", 443, "/s/9fKqT2vLx0Zr/mcp?key=secret"
target.shown                              ->  "https://mcp.example.com/s/~hidden~/mcp"
target.known_as                           ->  "https://mcp.example.com/s/~hidden~/mcp#45b1cbebca7d4f90"
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urljoin, urlsplit

from km_client.errors import ClientError
from km_client.proxy.http import hiding, variables

HINT = "give the server's address: km-client monitor --url https://mcp.example.com/mcp"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?")
_TARGET = re.compile(r"/[\x21-\x7e]*")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = {
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
}
_VALUE = re.compile(r"[\x21-\x7e\x80-\U0010ffff](?:[\t\x20-\x7e\x80-\U0010ffff]*[\x21-\x7e\x80-\U0010ffff])?|")


@dataclass(frozen=True, slots=True)
class Target:
    """`path` is what stands in a request line, the query with it. `authorization` comes from `user:password@`, and
    `secrets` are what of all this must be told to nobody.
    """

    scheme: str
    host: str
    port: int
    path: str
    authorization: str = ""
    secrets: tuple[str, ...] = ()

    @property
    def authority(self) -> str:
        """What `Host` says: without the port where it is the scheme's own (RFC 9110 §7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def endpoint(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]

    @property
    def shown_endpoint(self) -> str:
        """The same for people, and for the address of a listener."""
        return hiding.hidden_path(self.endpoint, self.secrets)

    @property
    def shown(self) -> str:
        """Neither credentials nor a query nor a secret in the path."""
        return self.origin + self.shown_endpoint

    @property
    def known_as(self) -> str:
        """What tells this server from others, secrets and all, and tells no secret. Credentials are no part of it: who
        renews a password talks to the same server.
        """
        whole = self.origin + self.path
        return self.shown if whole == self.shown else f"{self.shown}#{hashlib.sha256(whole.encode()).hexdigest()[:16]}"

    def hide(self, text: str) -> str:
        """What others said, without the secrets of this address: servers repeat the path they were asked for."""
        return hiding.without(self.secrets, text)


def from_option(text: str) -> Target:
    """What `--url` says, its variables filled in; `env:NAME` is all of it. Raises `ClientError`."""
    if text.startswith("env:"):
        text = f"${{{text.removeprefix('env:')}}}"
    return parse_url(*variables.fill(text, "--url"))


def parse_url(text: str, values: Sequence[str] = ()) -> Target:
    """`values` are those parts of it that are secret in any case. Raises `ClientError`, which shows nothing of it."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # its words quote what stands at the wrong place: a password, as likely as not
        hint = f"{HINT}; percent-encode what stands before an @"
        raise ClientError("bad_url", "--url is not a URL: its host or port cannot be read", hint, exit_code=2) from None
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise ClientError("bad_url", "--url must begin with https:// or http:// and name a host", HINT, exit_code=2)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        host = ""
    if not _HOST.fullmatch(host) or not _TARGET.fullmatch(path) or port == 0:
        hint = "percent-encode what is not plain ASCII"
        raise ClientError("bad_url", "--url has a host, port or path that no request can carry", hint, exit_code=2)
    secrets = hiding.secrets_of(path, parts.password or "", values)
    return Target(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], path, _basic(parts.netloc), secrets)


def path_on(origin: str, base: str, reference: str) -> str | None:
    """What stands in a request line for `reference`, seen from `base` on this origin; `None` if it is elsewhere, or no
    request can carry it.
    """
    try:
        parts = urlsplit(urljoin(origin + base, reference))
    except ValueError:
        return None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return path if f"{parts.scheme}://{parts.netloc}" == origin and _TARGET.fullmatch(path) else None


def parse_headers(given: list[str]) -> list[tuple[bytes, bytes]]:
    """`--header` as fields; a value `env:NAME` is that variable's, and `${NAME}` stands for it within a value. Raises
    `ClientError`, which shows no value.
    """
    headers = []
    for text in given:
        name, colon, value = text.partition(":")
        value = value.strip(" \t")
        if not colon or not _NAME.fullmatch(name):
            hint = "for example --header 'Authorization: env:NOTES_TOKEN'"
            raise ClientError("bad_header", "--header must be `Name: value`", hint, exit_code=2)
        if name.lower() in _OURS:
            hint = "it belongs to each request and connection, and km-client says it itself"
            raise ClientError("bad_header", f"--header {name}: this header cannot be given", hint, exit_code=2)
        if value.startswith("env:"):
            value = variables.value(value.removeprefix("env:"), f"--header {name}")
        else:
            value, _ = variables.fill(value, f"--header {name}")
        if not _VALUE.fullmatch(value):
            hint = "it may hold no line break or other control character"
            raise ClientError("bad_header", f"--header {name}: its value cannot be sent", hint, exit_code=2)
        headers.append((name.encode(), value.encode()))
    return headers


def _basic(netloc: str) -> str:
    user, at, _ = netloc.rpartition("@")
    return "Basic " + base64.b64encode(unquote(user).encode()).decode() if at else ""
