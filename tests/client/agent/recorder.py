"""What a relay leaves on disk, made by the client's own journal writer, at the moments a test chooses.

session = Recorded(tmp_path / "journal" / "run-1")
session.request(b'{"id":1,"method":"ping"}\n'); session.response(b'{"id":1,"result":{}}\n'); session.end()
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from km_client.capture import lock, status
from km_client.capture.journal import SEGMENT_BYTES, Direction, DirectionJournal, segment_header, segment_name
from km_client.capture.spool import SessionSpool

STEP_NS = 1_000_000


class Recorded:
    """One run, alive until `end` or `die`. Moments go on from a second ago, a millisecond a chunk."""

    def __init__(self, path: Path, *, segment_bytes: int = SEGMENT_BYTES, **session: Any) -> None:
        self.path = path
        self.spool = SessionSpool(path)
        self.now_ns = time.monotonic_ns() - 60_000_000_000
        self._to_unix_ns = time.time_ns() - time.monotonic_ns()
        path.mkdir(parents=True)
        description = {
            "version": 1,
            "session_id": path.name,
            "server_name": "git",
            "command": ["mcp-server-git"],
            "cwd": "/",
            "pid": 1,
            "started_at_ns": time.time_ns(),
            "client_version": "0.1.0",
            "local_only": False,
            "api_url": None,
            "api_key": None,
        }
        (path / "session.json").write_text(json.dumps(description | session))
        self._status = os.open(path / "status", os.O_RDWR | os.O_CREAT, 0o600)
        status.preallocate(self._status)
        assert lock.hold(self._status)
        self._journals = {name: self._journal(name, segment_bytes) for name in ("request", "response")}

    def request(self, data: bytes, *, at_ns: int | None = None) -> None:
        """The client sends `data`; by default a millisecond after the last chunk."""
        self._append("request", data, at_ns)

    def response(self, data: bytes, *, at_ns: int | None = None) -> None:
        self._append("response", data, at_ns)

    def end(self, exit_code: int = 0) -> None:
        """The server ended, and the relay with it."""
        for journal in self._journals.values():
            status.write_direction(self._status, journal)
        status.write_end(self._status, exit_code, None, time.time_ns())
        self.die()

    def die(self) -> None:
        """The relay is killed."""
        if self._status >= 0:
            os.close(self._status)
        self._status = -1

    def _append(self, direction: Direction, data: bytes, at_ns: int | None) -> None:
        self.now_ns = self.now_ns + STEP_NS if at_ns is None else max(self.now_ns, at_ns)
        moment = self.now_ns if at_ns is None else at_ns
        self._journals[direction].append(data, moment, moment + self._to_unix_ns)

    def _journal(self, direction: Direction, segment_bytes: int) -> DirectionJournal:
        return DirectionJournal(direction, self._open_segment, self._changed, segment_bytes)

    def _open_segment(self, direction: Direction, number: int) -> int:
        fd = os.open(self.path / segment_name(direction, number), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(fd, segment_header(direction))
        return fd

    def _changed(self, journal: DirectionJournal) -> None:
        status.write_direction(self._status, journal)


def call(number: object, tool: str = "git_log", text: str = "") -> bytes:
    """A tool call as one line."""
    params = {"name": tool, "arguments": {"text": text}}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode() + b"\n"


def answer(number: object, text: str = "") -> bytes:
    """Its result as one line."""
    result = {"content": [{"type": "text", "text": text}]}
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode() + b"\n"
