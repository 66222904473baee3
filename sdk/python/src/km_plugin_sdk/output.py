"""Keep stdout for the handshake: whatever else prints there goes into a pipe, and from it to the host's log.

A go-plugin host reads exactly one line from a plugin's stdout, so one stray `print` of an imported library would be
taken for the handshake. `Output.aside()` moves file descriptor 1 itself, so that C code and child processes are caught
too. A thread drains the pipe from the first moment: nobody who prints ever waits, whether the host listens or not. At
most `HELD_BYTES` are held for it; older output is dropped and counted.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import deque
from typing import ClassVar

HELD_BYTES = 1024 * 1024
CHUNK_BYTES = 32 * 1024


class Output:
    """There is one stdout, so there is one of these: `Output.aside()` returns the same object every time."""

    _instance: ClassVar[Output | None] = None

    @classmethod
    def aside(cls) -> Output:
        """Move stdout aside, unless that was done already."""
        if cls._instance is None:
            cls._instance = cls()
        return cls._instance

    def __init__(self) -> None:
        sys.stdout.flush()
        self._real = os.dup(1)
        self._pipe, write_end = os.pipe()
        os.dup2(write_end, 1)
        os.close(write_end)
        sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
        self.dropped_bytes = 0
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived: asyncio.Event | None = None
        threading.Thread(target=self._drain, name="km-output", daemon=True).start()

    def say(self, line: str) -> None:
        """Write one line where the host reads the handshake."""
        os.write(self._real, f"{line}\n".encode())

    async def next(self) -> bytes:
        """What was printed since the last call, waited for."""
        if self._arrived is None:
            self._arrived = asyncio.Event()
            with self._lock:
                self._loop = asyncio.get_running_loop()
        while not self._held:
            self._arrived.clear()
            if not self._held:
                await self._arrived.wait()
        with self._lock:
            chunk = self._held.popleft()
            self._held_bytes -= len(chunk)
        return chunk

    @property
    def is_empty(self) -> bool:
        return not self._held

    def _drain(self) -> None:
        while chunk := os.read(self._pipe, CHUNK_BYTES):
            with self._lock:
                self._held.append(chunk)
                self._held_bytes += len(chunk)
                while self._held_bytes > HELD_BYTES:
                    oldest = self._held.popleft()
                    self._held_bytes -= len(oldest)
                    self.dropped_bytes += len(oldest)
                loop, arrived = self._loop, self._arrived
            if loop is not None and arrived is not None and not loop.is_closed():
                loop.call_soon_threadsafe(arrived.set)
