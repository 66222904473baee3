"""The mail server, from one address.

    server("smtp+tls://ann:s3cret@mail.example.org:587")   → Server(host="mail.example.org", port=587, starttls=True, …)

`smtp+tls` begins in the clear and changes to TLS (STARTTLS), `smtp+ssl` begins with TLS, `smtp` is for a server on this
machine. What is no such address is no server; `problem` says why, for the check at start.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

SMTP = "django.core.mail.backends.smtp.EmailBackend"
CONSOLE = "django.core.mail.backends.console.EmailBackend"
_PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}


@dataclass(frozen=True, slots=True)
class Server:
    """As Django's settings have it; blank for none."""

    host: str = ""
    port: int = 25
    user: str = ""
    password: str = ""
    starttls: bool = False
    tls: bool = False


def server(url: str) -> Server:
    """The server at `url`; none for one that is no address."""
    if not url or problem(url):
        return Server()
    parts = urlsplit(url)
    return Server(
        host=parts.hostname or "",
        port=parts.port or _PORTS[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        starttls=parts.scheme == "smtp+tls",
        tls=parts.scheme == "smtp+ssl",
    )


def problem(url: str) -> str:
    """What is wrong with `url`, without the password in it; blank for nothing."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "it is no address"
    if parts.scheme not in _PORTS:
        return f"it begins with `{parts.scheme}:`"
    if not parts.hostname or port == 0 or parts.path.strip("/") or parts.query or parts.fragment:
        return "it is not a host and a port alone (percent-encode what a password has of `:/?#@`)"
    if parts.password and not parts.username:
        return "it has a password and no user"
    return ""
