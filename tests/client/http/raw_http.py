"""A server and a client of raw bytes, and a real `km-client monitor --url … --listen` between them.

with RawServer() as server, Proxy(server.url, data_dir) as proxy, proxy.connect() as client:
    client.sendall(b"POST /mcp HTTP/1.1…")
    peer = server.accept(); peer.head(); peer.send(b"HTTP/1.1 200 OK…")
    assert client.recv_until(b"…")
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from km_client.capture import exchanges
from km_client.capture.exchanges import Entry
from km_client.capture.spool import SessionSpool, list_sessions

from tests.client.monitored import KM_CLIENT, PATIENCE_SECONDS

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}'


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Peer:
    """One end of a TCP connection. Every wait is bounded."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.settimeout(PATIENCE_SECONDS)
        self.received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def until(self, end: bytes) -> bytes:
        """What came, up to and with `end`; the rest is kept."""
        while end not in self.received:
            data = self.socket.recv(65536)
            assert data, f"ended before {end!r}: {self.received[-300:]!r}"
            self.received += data
        taken, _, self.received = self.received.partition(end)
        return taken + end

    def head(self) -> bytes:
        return self.until(b"\r\n\r\n")

    def exactly(self, size: int) -> bytes:
        while len(self.received) < size:
            data = self.socket.recv(min(1 << 20, size - len(self.received)))
            assert data, f"ended after {len(self.received)} of {size} bytes"
            self.received += data
        taken, self.received = self.received[:size], self.received[size:]
        return taken

    def rest(self) -> bytes:
        """All until the end of the connection."""
        while data := self.socket.recv(65536):
            self.received += data
        taken, self.received = self.received, b""
        return taken

    def sees_the_end(self) -> bool:
        """Whether the other side closes or resets within the patience."""
        try:
            return self.socket.recv(65536) == b""
        except ConnectionResetError:
            return True

    def sees_a_reset(self) -> bool:
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            return True
        return False

    def has_nothing(self, seconds: float = 0.2) -> bool:
        """Whether nothing comes, for a moment."""
        return not self.received and not select.select([self.socket], [], [], seconds)[0]

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class RawServer:
    """Listens; each connection is the test's to serve."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE_SECONDS)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self._peers: list[Peer] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for peer in self._peers:
            peer.socket.close()
        self._listener.close()

    def accept(self) -> Peer:
        peer = Peer(self._listener.accept()[0])
        self._peers.append(peer)
        return peer

    def has_a_connection(self) -> bool:
        return bool(select.select([self._listener], [], [], 0.2)[0])


class Proxy:
    """`km-client monitor --url URL --listen 127.0.0.1:0`. `url` is where it listens."""

    def __init__(self, url: str, data_dir: Path, *flags: str, env: dict[str, str] | None = None) -> None:
        self.data_dir = data_dir
        environment = {**os.environ, "KM_DATA_DIR": str(data_dir), **(env or {})}
        command = [KM_CLIENT, "monitor", "--url", url, "--listen", "127.0.0.1:0", *flags]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1].decode()
        self.said: dict[str, Any] = json.loads(line)
        self.url = self.said["listening"]
        self.port = int(self.url.split(":")[2].partition("/")[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def host(self) -> bytes:
        return b"127.0.0.1:%d" % self.port

    def connect(self) -> Peer:
        return Peer(socket.create_connection(("127.0.0.1", self.port)))

    def request(self, body: bytes = b"{}", *fields: bytes, method: bytes = b"POST", path: bytes = b"/mcp") -> bytes:
        """The bytes of a request as a good client makes it."""
        lines = [b"Host: " + self.host, b"Accept: application/json, text/event-stream", *fields]
        if method == b"POST":
            lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
        return b"\r\n".join([b"%b %b HTTP/1.1" % (method, path), *lines, b"", b""]) + body

    def end(self) -> tuple[int, str]:
        """End it as a person would, and return its exit code and what it said on stderr."""
        if self.process.returncode is None:
            self.process.terminate()
        try:
            self._errors = getattr(self, "_errors", "") + self.process.communicate(timeout=PATIENCE_SECONDS)[1].decode()
        except ValueError:  # communicated before
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        return self.process.returncode, self._errors

    def spools(self) -> list[SessionSpool]:
        return list_sessions(self.data_dir / "journal")


def entries(spool: SessionSpool, direction: str) -> list[Entry]:
    """What was recorded of one direction, in order."""
    records = spool.records({}, over=True, now_ns=time.monotonic_ns())
    return [exchanges.decode(record.payload) for record in records if record.direction == direction]


def facts(spool: SessionSpool) -> Iterator[dict[str, Any]]:
    """The `params` of what was recorded in place of messages."""
    for entry in entries(spool, "response"):
        if entry.kind != exchanges.MESSAGE:
            yield {"kind": entry.kind, **json.loads(entry.content)["params"]}


def exchange(proxy: Proxy, server: RawServer, request: bytes, answer: bytes) -> tuple[bytes, bytes]:
    """What the server received as a head, and all that the client got."""
    with proxy.connect() as client:
        client.send(request)
        peer = server.accept()
        head = peer.head()
        peer.send(answer)
        peer.socket.shutdown(socket.SHUT_WR)
        return head, client.rest()
