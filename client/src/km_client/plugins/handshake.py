"""The one line a plugin prints when it listens, read strictly and without I/O.

    1|1|unix|/tmp/km-x/s/plugin4711|grpc|MIIBq…
    │ │ │    │                      │    └ the plugin's certificate, base64 of DER without padding; with AutoMTLS only
    │ │ │    │                      └ the protocol spoken there
    │ │ │    └ where
    │ │ └ on what kind of network
    │ └ our protocol's version
    └ go-plugin's own

Source: go-plugin's docs/internals.md and `server.go`. A seventh field (`multiplex`) is empty or `false` for us, who do
not offer it. Everything else is refused by name, because the author of a plugin reads the message.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

from km_client.plugins.errors import CrashError, PluginError, RefusedError

COOKIE_KEY, COOKIE_VALUE = "KILOMETERS_PLUGIN", "kilometers-cli-plugin"
CORE_PROTOCOL, PROTOCOL = "1", "1"
LONGEST_LINE = 16 * 1024  # a certificate takes 1 KiB
# What go-plugin and our SDK print, and exit, when the cookie is not the one they were built with.
_NOT_BY_HAND = b"not meant to be executed directly"


@dataclass(frozen=True, slots=True)
class Handshake:
    """Where the plugin listens. `certificate` is DER, empty without AutoMTLS."""

    address: Path
    certificate: bytes = b""


class HandshakeReader:
    """Feed it stdout; it answers once with the handshake and keeps what came after the line in `rest`."""

    def __init__(self, socket_dir: Path, *, mutual_tls: bool) -> None:
        self._socket_dir, self._mutual_tls = socket_dir, mutual_tls
        self._data = b""
        self.rest = b""

    def feed(self, data: bytes) -> Handshake | None:
        """Raises `RefusedError` when the first line is not a handshake we can take."""
        self._data += data
        line, newline, rest = self._data.partition(b"\n")
        if len(line) > LONGEST_LINE:
            raise _noise(line)
        if not newline:
            return None
        self.rest = rest
        return parse(line, self._socket_dir, mutual_tls=self._mutual_tls)


def parse(line: bytes, socket_dir: Path, *, mutual_tls: bool) -> Handshake:
    """`line` without its newline."""
    fields = line.decode(errors="replace").rstrip("\r").split("|")
    if len(fields) < 4 or not fields[0].isdigit():
        raise _noise(line)
    fields += [""] * (7 - len(fields))
    core, version, network, address, protocol, certificate, multiplex = fields[:7]
    _expect(core, CORE_PROTOCOL, "handshake_core_version", "go-plugin's core protocol", "update go-plugin or the SDK")
    _expect(version, PROTOCOL, "handshake_version", "the plugin protocol", "set `ProtocolVersion: 1`")
    _expect(network, "unix", "handshake_network", "the network", "listen on a unix socket")
    _expect(protocol, "grpc", "handshake_protocol", "the protocol", "set `GRPCServer: plugin.DefaultGRPCServer`")
    if multiplex not in {"", "false"} or len(fields) > 7:
        raise RefusedError("handshake_fields", "the plugin's handshake asks for what the host did not offer")
    return Handshake(_checked_address(address, socket_dir), _checked_certificate(certificate, mutual_tls=mutual_tls))


def exited_early(code: int, stderr: bytes) -> PluginError:
    """Why the process ended before it said anything. `code` is negative for a signal, as in `subprocess`."""
    if _NOT_BY_HAND in stderr:
        return RefusedError(
            "handshake_cookie",
            "the plugin does not know this host: it was built with another magic cookie",
            f'set MagicCookieKey: "{COOKIE_KEY}" and MagicCookieValue: "{COOKIE_VALUE}"',
        )
    how = f"exited with code {code}" if code >= 0 else f"was ended by signal {-code}"
    last = stderr.strip().splitlines()[-1:] or [b""]
    said = f"; its last words: `{last[0].decode(errors='backslashreplace')[:300]}`" if last[0] else ""
    return CrashError("exited_before_handshake", f"the plugin {how} before its handshake{said}", "see its log")


def _expect(found: str, wanted: str, code: str, what: str, hint: str) -> None:
    if found != wanted:
        raise RefusedError(code, f"{what} is `{found[:40]}`; this host speaks `{wanted}`", hint)


def _noise(line: bytes) -> RefusedError:
    text = line[:120].decode(errors="backslashreplace")
    return RefusedError(
        "handshake_noise",
        f"the plugin printed `{text}` before its handshake line",
        "print to stderr, or only after the plugin is served",
    )


def _checked_address(address: str, socket_dir: Path) -> Path:
    """Only a socket directly in the directory we made is the plugin's own."""
    path = Path(address)
    if path.parent != socket_dir or path.name in {"", ".", ".."} or "\0" in address:
        message = f"the plugin listens at `{address[:200]}`, outside its socket directory"
        raise RefusedError("handshake_address", message, "listen in PLUGIN_UNIX_SOCKET_DIR")
    return path


def _checked_certificate(text: str, *, mutual_tls: bool) -> bytes:
    if bool(text) != mutual_tls:
        message = "the plugin offers a certificate it was not asked for" if text else "the plugin offers no certificate"
        raise RefusedError("handshake_certificate", message, "AutoMTLS is asked for by PLUGIN_CLIENT_CERT alone")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError("handshake_certificate", "the plugin's certificate is not base64") from None
