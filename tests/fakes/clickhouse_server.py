"""A ClickHouse of the tests' own: the engine of `chdb` behind the part of ClickHouse's HTTP interface that clients use.

    python clickhouse_server.py DIRECTORY PASSWORD PORT      → prints its port (0: any); serves until it is killed

A request is one statement: the body, or the parameter `query` before it. `database`, `param_<name>` and settings are
parameters too, of the address or of a form. An INSERT's rows follow its text in the format it names. What comes back is
the engine's own bytes in the format asked for; an error has the engine's code in `X-ClickHouse-Exception-Code`. The
engine parses, checks, stores and syncs; this file only carries. Every request is a session of its own.
"""

from __future__ import annotations

import json
import re
import sys
from base64 import b64encode
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import lz4.frame  # type: ignore[import-untyped]
from chdb.session import Session as _Session

Session: Any = _Session  # whose methods have no types
USER, DATABASE = "km", "km"
NOT_SETTINGS = {
    "query",
    "database",
    "wait_end_of_query",
    "enable_http_compression",
    "client_protocol_version",
    "query_id",
}
INSERT = re.compile(rb"\s*(INSERT INTO .*?) FORMAT (\w+)\n", re.DOTALL)
EXCEPTION = "X-ClickHouse-Exception-Code"
CODE = re.compile(r"Code: (\d+)\.")


def lz4_frames(data: bytes) -> bytes:
    """One after the other: a client sends each block as a frame."""
    unpacked = []
    while data:
        frame = lz4.frame.LZ4FrameDecompressor()
        unpacked.append(frame.decompress(data))
        data = frame.unused_data or b""
    return b"".join(unpacked)


class Handler(BaseHTTPRequestHandler):
    """One connection, kept open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    directory, authorization = "", ""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        body = self._body()
        self._answer(lz4_frames(body) if self.headers.get("Content-Encoding") == "lz4" else body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what went wrong."""

    def _answer(self, body: bytes) -> None:
        if self.headers.get("Authorization") != self.authorization:
            self._send(
                403,
                b"Code: 516. DB::Exception: km: Authentication failed. (AUTHENTICATION_FAILED)\n",
                {EXCEPTION: "516"},
            )
            return
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        if self.headers.get("Content-Type", "").startswith("multipart/form-data"):
            parameters |= self._form(body)
            body = b""
        statement = b"\n".join(filter(None, [parameters.get("query", "").encode(), body]))
        session = Session(self.directory)
        try:
            answer, written = run(session, statement, parameters)
            self._send(200, answer, {"X-ClickHouse-Summary": json.dumps({"written_rows": str(written)})})
        except RuntimeError as error:  # what the engine raises, with its code
            code = CODE.search(str(error))
            self._send(500, str(error).encode(), {EXCEPTION: code[1] if code else "1002"})
        finally:
            session.close()

    def _form(self, body: bytes) -> dict[str, str]:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts: Any = BytesParser().parsebytes(head + body).get_payload()
        named = [(part.get_param("name", header="content-disposition"), part) for part in parts]
        return {name: part.get_payload(decode=True).decode() for name, part in named}

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"X-ClickHouse-Timezone": "UTC", "Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def run(session: Any, statement: bytes, parameters: dict[str, str]) -> tuple[bytes, int]:
    """What the engine answers, and how many rows it has written. Raises `RuntimeError` with its words."""
    session.query(f"USE `{parameters.get('database', 'default')}`")
    for name, value in parameters.items():
        if name not in NOT_SETTINGS and not name.startswith("param_"):
            session.query(f"SET {name} = '{value}'")
    insert = INSERT.match(statement)
    if insert is None:
        given = {name.removeprefix("param_"): value for name, value in parameters.items() if name.startswith("param_")}
        return bytes(session.query(statement.decode(), "TabSeparated", params=given).bytes()), 0
    with session.send_insert(insert[1].decode(), insert[2].decode()) as rows:
        rows.append(statement[insert.end() :])
        return b"", rows.finish().rows_written


def main(directory: str, password: str, port: int) -> None:
    """Serve what is in `directory`, or begin it."""
    Path(directory).mkdir(parents=True, exist_ok=True)
    engine = Session(directory)  # while one session is open the engine stays
    engine.query(f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic")
    Handler.directory = directory
    Handler.authorization = "Basic " + b64encode(f"{USER}:{password}".encode()).decode()
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
