"""Who may talk to the listener: programs of this machine, and no web page that a browser on it shows.

A page can make a browser send requests to 127.0.0.1, and by DNS rebinding read the answers. So, as MCP's transports ask
of local servers (revision 2026-07-28, Streamable HTTP, "Security & Endpoint"): `Origin`, where there is one, must be of
this machine, else 403 (of a page's plain GET there is none: those, browsers mark in `Sec-Fetch-Site`); and `Host` must
be an address we listen on, never a name that a DNS server made up, else 421.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from km_client.proxy.http.heads import BadMessageError, RequestHead, values

FORBIDDEN, MISDIRECTED, LOOP = 403, 421, 508
VIA = b"1.1 km-client"


class Guard:
    """For one listener. `address` is what it is bound to, as numbers."""

    def __init__(self, address: str, port: int) -> None:
        self._address = ip_address(address.partition("%")[0])
        self._port = port

    def check(self, head: RequestHead) -> None:
        """Raises `BadMessageError`."""
        hosts = values(head.headers, b"host")
        if len(hosts) != 1 or not self._is_ours(hosts[0].decode("latin-1")):
            raise BadMessageError(f"Host must be the address that km-client listens on, port {self._port}", MISDIRECTED)
        origins = values(head.headers, b"origin")
        if len(origins) > 1 or not all(_is_local(origin.decode("latin-1")) for origin in origins):
            raise BadMessageError("requests of web pages from elsewhere are refused: Origin is not local", FORBIDDEN)
        if not origins and b"cross-site" in values(head.headers, b"sec-fetch-site"):
            raise BadMessageError("requests of web pages from elsewhere are refused: it is cross-site", FORBIDDEN)
        if not head.target.startswith(b"/"):
            raise BadMessageError("this is no forward proxy: the request must name a path")
        if any(VIA in via for via in values(head.headers, b"via")):
            raise BadMessageError("this request has come through here before: --url leads back to --listen", LOOP)

    def _is_ours(self, host: str) -> bool:
        name, port = _split(host)
        if port != self._port:
            return False
        if name == "localhost":
            return self._address.is_loopback or self._address.is_unspecified
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return address == self._address or address.is_loopback or self._address.is_unspecified


def _is_local(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        name = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme not in ("http", "https"):
        return False
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _split(host: str) -> tuple[str, int]:
    """`Host` without a port means 80."""
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "", parts.port or 80) if parts.netloc == host and "@" not in host else ("", 0)
    except ValueError:
        return "", 0
