"""Where a webhook may be sent: addresses of the public internet, and networks the operator has named.

    check(url, networks)             raises InvalidRequest: not https, a password in it, …
    resolve("hooks.acme.example", 443, networks)     → "203.0.113.7"; raises `Forbidden`, `Unresolved`

A name is resolved once, every address it has is judged, and the connection goes to the one returned: a name that
resolves to something else a moment later leads nowhere else. An address that carries an IPv4 one within (mapped, 6to4,
NAT64) is judged by that one.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from core.errors import InvalidRequest

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]

MAX_URL_CHARACTERS = 500
_NAT64 = ip_network("64:ff9b::/96")


class ForbiddenAddress(Exception):
    """It leads where nobody outside may send anything."""


class Unresolved(Exception):
    """The name has no address, or who knows it did not answer."""


def check(url: str, networks: Networks) -> SplitResult:
    """The parts of a webhook's address. Raises `InvalidRequest`."""
    schemes = {"https", "http"} if networks else {"https"}
    try:
        parts = urlsplit(url)
        port = parts.port  # raises ValueError for one that is none
        host = (parts.hostname or "").encode("idna")
    except (ValueError, UnicodeError):
        raise InvalidRequest("that is no address", "give one such as https://hooks.example.org/alerts") from None
    clean = url.isascii() and url.isprintable() and " " not in url and len(url) <= MAX_URL_CHARACTERS
    if not clean or not host or port == 0 or parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidRequest(
            "a webhook's address has a host, and no spaces, password or fragment",
            f"give one such as https://hooks.example.org/alerts, of at most {MAX_URL_CHARACTERS} characters",
        )
    if parts.scheme not in schemes:
        raise InvalidRequest("a webhook's address begins with https://", "what is sent there is nobody else's to read")
    return parts


def resolve(host: str, port: int, networks: Networks, *, plain: bool = False) -> str:
    """The address to connect to. `plain` is for http, which only the operator's networks may be sent.

    Raises `ForbiddenAddress`, `Unresolved`.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unresolved(f"the name `{host}` cannot be resolved: {error}") from None
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not is_allowed(address, networks, plain=plain):
            raise ForbiddenAddress(f"`{host}` is {address}, which is not on the public internet")
    return addresses[0]


def is_allowed(address: str, networks: Networks, *, plain: bool = False) -> bool:
    """Whether something may be sent to `address`."""
    if "%" in address:  # a scope: of this machine's own links
        return False
    judged = _within(ip_address(address))
    if any(judged.version == network.version and judged in network for network in networks):
        return True
    return not plain and judged.is_global and not (judged.is_multicast or judged.is_reserved)


def _within(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
