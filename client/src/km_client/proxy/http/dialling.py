"""A connection to a server: plain or TLS, directly or through the proxy that the environment names.

    wire = await dial(target)          raises `DialError`, which says what is wrong and what to do about it

TLS trusts what the system trusts, or what `SSL_CERT_FILE` names, and always checks the name. `HTTPS_PROXY`,
`HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are honoured in either case, upper last; loopback addresses never go through a
proxy. A plain server behind a proxy is reached by a tunnel as well, so what is sent is the same in all cases.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from ipaddress import ip_address

from km_client.errors import ClientError
from km_client.proxy.http.heads import BadMessageError, parse_response, take_head
from km_client.proxy.http.target import Target, parse_url
from km_client.proxy.http.wire import Wire

DIAL_SECONDS = 15.0  # twice what a name server that is away costs, and then the other one
NEXT_ADDRESS_SECONDS = 0.25  # RFC 8305 §8: until the host's next address is tried beside the first


class DialError(Exception):
    """No connection. `hint` is the next step."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Dialler:
    """Dials one target; the TLS context is made once."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._context = _tls_context() if target.scheme == "https" else None

    async def dial(self) -> Wire:
        """Raises `DialError`."""
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                return await self._dial()
        except TimeoutError:
            what = f"{self.target.authority} did not answer within {DIAL_SECONDS:g} s"
            raise DialError(what, "check the address, and whether a firewall or VPN stands between") from None
        except ssl.SSLError as error:
            raise _tls_error(error, self.target) from error
        except (OSError, BadMessageError) as error:
            raise _network_error(error, self.target) from error

    async def _dial(self) -> Wire:
        proxy = proxy_for(self.target)
        loop = asyncio.get_running_loop()
        first = proxy or self.target
        _, wire = await loop.create_connection(Wire, first.host, first.port, happy_eyeballs_delay=NEXT_ADDRESS_SECONDS)
        if proxy:
            try:
                await _tunnel(wire, proxy, self.target)
            except BaseException:  # a proxy that is silent, or says something else: nobody will use this connection
                wire.abort()
                raise
        if self._context:
            transport = await loop.start_tls(
                wire.transport, wire, self._context, server_hostname=self.target.host.partition("%")[0]
            )
            assert transport
            wire.transport = transport
        return wire


def proxy_for(target: Target) -> Target | None:
    """The proxy that the environment names for this target. Raises `DialError`."""
    names = (f"{target.scheme}_proxy", f"{target.scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    name = next((name for name in names if os.environ.get(name)), None)
    if name is None or _is_exempt(target):
        return None
    text = os.environ[name]
    try:
        proxy = parse_url(text if "://" in text else f"http://{text}")
    except ClientError:
        raise DialError(f"{name} is not the URL of a proxy", "it should be like http://proxy.example:3128") from None
    if proxy.scheme != "http":
        raise DialError(f"{name} names a proxy that is spoken to by TLS, which is not supported", "use an http:// one")
    return proxy


def _is_exempt(target: Target) -> bool:
    host = target.host.lower()
    if host == "localhost" or host.endswith(".localhost") or _is_loopback(host):
        return True
    entries = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").lower().split(",")
    for entry in (entry.strip() for entry in entries):
        name, _, port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
        name = name.removeprefix("*").removeprefix(".")
        if entry == "*" or (name and (not port or port == str(target.port)) and _is_below(host, name)):
            return True
    return False


def _is_below(host: str, name: str) -> bool:
    return host == name or host.endswith(f".{name}")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


async def _tunnel(wire: Wire, proxy: Target, target: Target) -> None:
    """RFC 9110 §9.3.6."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    place = f"{host}:{target.port}"
    secret = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
    wire.send(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{secret}\r\n".encode())
    data = b""
    while (taken := take_head(data)) is None:
        more = await wire.receive()
        if not more:
            raise ConnectionResetError("the proxy closed the connection")
        data += more
    head = parse_response(taken[0])
    if not 200 <= head.status < 300:
        reason = head.reason.decode("latin-1")
        hint = "check HTTPS_PROXY and NO_PROXY, and the user and password in the proxy's URL"
        raise DialError(f"the proxy {proxy.authority} refused a tunnel: {head.status} {reason}", hint)


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _tls_error(error: ssl.SSLError, target: Target) -> DialError:
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "if the server is right, set SSL_CERT_FILE to a PEM file with the certificate of the authority it uses"
        return DialError(f"the certificate of {target.authority} is not accepted: {error.verify_message}", hint)
    if "WRONG_VERSION_NUMBER" in str(error):
        return DialError(f"{target.authority} does not speak TLS", "is it http:// rather than https://?")
    return DialError(f"TLS with {target.authority} failed: {error.reason or error}", "ask who runs the server")


def _network_error(error: Exception, target: Target) -> DialError:
    if isinstance(error, socket.gaierror):
        return DialError(f"the host {target.host} is unknown", "check its spelling, and that this machine is online")
    if isinstance(error, ConnectionRefusedError):
        return DialError(f"nothing listens at {target.authority}", "check the port, and that the server runs")
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return DialError(f"{target.authority} cannot be reached: {text}", "check the address and the network")
