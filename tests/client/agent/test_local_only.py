"""`--local-only`: of such a session nothing leaves, whatever the agent says to the server meanwhile."""

from __future__ import annotations

import gzip
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from km_client import config_edit, credentials
from km_protocol import api_keys

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import answer, call
from tests.end_to_end.waiting import eventually

WHISPER = "whisper"  # in everything that a local session has of its own


class Listener(http.server.ThreadingHTTPServer):
    """A server that keeps every request it is sent, whole and readable, and answers as if all were well."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Listening)
        self.said: list[bytes] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Listening(http.server.BaseHTTPRequestHandler):
    server: Listener

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        encoding = self.headers["Content-Encoding"]
        if encoding == "zstd":
            body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        elif encoding == "gzip":
            body = gzip.decompress(body)
        self.server.said.append(f"{self.requestline}\n{self.headers}\n".encode() + body)
        events = json.loads(body).get("events", []) if body else []
        told = {
            "jwt": "a.b.c",
            "expiresIn": 900,
            "expires_in": 900,
            "success": True,
            "accepted": len(events),
            "duplicates": 0,
        }
        answer = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = _any

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    yield server
    server.shutdown()
    server.server_close()


def test_nothing_of_a_local_session_leaves_while_another_is_shipped(
    machine: Path, listener: Listener, record: Record
) -> None:
    credentials.save(api_keys.compose("live", "7" * 30))
    config_edit.set_value("api_url", f"http://127.0.0.1:{listener.server_port}")
    local = record(
        f"{WHISPER}-run",
        session_id=f"{WHISPER}-session",
        server_name=f"{WHISPER}-server",
        command=[f"{WHISPER}-command"],
        cwd=f"/{WHISPER}",
        local_only=True,
        plugins=[f"/nowhere/{WHISPER}-plugin"],
    )
    shipped = record("spoken-run", session_id="spoken-session")
    local.request(call(1, tool=f"{WHISPER}_tool", text=f"{WHISPER} text"))
    local.response(answer(1))
    shipped.request(call(1, tool="spoken_tool"))
    with subprocess.Popen([sys.executable, "-m", "km_client.agent"], stdin=subprocess.DEVNULL) as agent:
        try:
            eventually(lambda: any(b"spoken_tool" in each for each in list(listener.said)))
            logs = machine / "data" / "log"
            eventually(lambda: any(b"whisper_tool" in path.read_bytes() for path in logs.glob("*")))
            local.end()
            shipped.end()
            eventually(lambda: not local.path.exists() and not shipped.path.exists())
        finally:
            agent.terminate()
    paths = {each.split(b" ", 2)[1] for each in listener.said}
    assert b"/api/events" in paths and len(paths) >= 2  # more than events was said: the machine's own report too
    assert WHISPER.encode() not in b"".join(listener.said).lower()
