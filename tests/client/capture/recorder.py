"""A recording without a relay: what a monitor writes, at moments the test chooses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from km_client.capture.journal import REQUEST, SEGMENT_BYTES, Direction
from km_client.capture.recording import Recording
from km_client.capture.spool import SessionSpool, SpoolRecord

MILLISECOND = 1_000_000
DESCRIPTION: dict[str, Any] = {
    "version": 1,
    "session_id": "session-1",
    "server_name": "notes",
    "command": ["npx", "notes"],
    "cwd": "/home/you",
    "pid": 7,
    "started_at_ns": 1,
    "client_version": "0.1.0",
    "local_only": False,
    "api_url": None,
    "api_key": None,
}


class Recorder:
    """One session. `say` appends at `at_ms` of a monotonic clock that starts at the session's start."""

    def __init__(
        self, journal_dir: Path, name: str = "run-1", segment_bytes: int = SEGMENT_BYTES, **changes: Any
    ) -> None:
        self.failures: list[OSError] = []
        self.rotations = 0
        self.recording = Recording(
            journal_dir / name,
            {**DESCRIPTION, **changes},
            on_failure=self.failures.append,
            on_rotation=self._rotated,
            segment_bytes=segment_bytes,
        )
        self.recording.start()
        self.spool = SessionSpool(journal_dir / name)

    def say(self, direction: Direction, data: bytes, at_ms: int = 0) -> None:
        journal = self.recording.request if direction == REQUEST else self.recording.response
        journal.append(data, at_ms * MILLISECOND, at_ms * MILLISECOND)

    def die(self) -> None:
        """As `kill -9` ends a relay: its lock is free, and nothing else was done."""
        if self.recording._status_fd >= 0:
            os.close(self.recording._status_fd)
            self.recording._status_fd = -1

    def _rotated(self) -> None:
        self.rotations += 1


def everything(spool: SessionSpool) -> list[SpoolRecord]:
    return list(spool.records({}, over=True, now_ns=0))
