"""A webhook's receiver and a mail server, both real and on loopback, that do what a test tells them to."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self


@dataclass
class Reply:
    """What the receiver answers. `stall`: nothing at all; `drip`: a header's byte every tenth of a second."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    stall: bool = False
    drip: bool = False


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """An HTTP server. `replies` are given in turn, the last one for ever; `received` is what came."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.replies = [Reply()]
        self.received: list[Received] = []
        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"{'https' if certificate else 'http'}://localhost:{self.port}/hook"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def ids(self) -> list[str]:
        return [each.headers["webhook-id"] for each in self.received]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.received.append(Received(self.path, headers, body))
                reply = outer.replies.pop(0) if len(outer.replies) > 1 else outer.replies[0]
                {reply.stall: self._stall, reply.drip: self._drip}.get(True, lambda: self._answer(reply))()

            do_GET = do_POST  # a redirect that is followed would come as one

            def _stall(self) -> None:
                outer.over.wait(30)

            def _drip(self) -> None:
                for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
                    if outer.over.wait(0.1):
                        return
                    try:
                        self.wfile.write(bytes([byte]))
                    except OSError:
                        return

            def _answer(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        return Handler


class MailServer:
    """A mail server as RFC 5321 has it, without TLS. `refusal` is its answer to RCPT, blank for a yes."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, str]] = []  # (to, the letter with its head)
        self.refusal = ""
        outer = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                outer._talk(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _talk(self, session: socketserver.StreamRequestHandler) -> None:
        def say(line: str) -> None:
            session.wfile.write(f"{line}\r\n".encode())

        say("220 mail.test ESMTP")
        to = ""
        for raw in session.rfile:
            command = raw.decode().rstrip("\r\n")
            match command.split(":")[0].split(" ")[0].upper():
                case "EHLO" | "HELO" | "MAIL" | "RSET":
                    say("250 ok")
                case "RCPT":
                    to = command.partition("<")[2].partition(">")[0]
                    say(self.refusal or "250 ok")
                case "DATA":
                    say("354 go on")
                    lines = []
                    while (line := session.rfile.readline()) != b".\r\n":
                        lines.append(line)
                    self.letters.append((to, b"".join(lines).decode()))
                    say("250 taken")
                case "QUIT":
                    say("221 bye")
                    return
                case _:
                    say("500 what?")


def free_port() -> int:
    """One that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
