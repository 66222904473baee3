"""Our stdin and stdout for an event loop, whatever they are (a pipe, a socket, a file, a terminal, on any system).

Each is a thread that does nothing but read or write its descriptor: no descriptor that other processes share with us is
made non-blocking, and no thread ever holds a lock of the interpreter's `sys.stdin`. Both are daemons; the process ends
by `os._exit`.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading

from km_client.proxy.framing import Frame, FrameSplitter

STDIN, STDOUT = 0, 1
READ_BYTES = 64 * 1024
UNSENT_BYTES = 4 * 1024 * 1024  # to a client that reads slowly; from here on servers' streams wait, too
MAX_LINE_BYTES = 128 * 1024 * 1024
AHEAD = 16  # reads that wait for the loop


class Lines:
    """The lines of stdin: `await lines.next()`, `None` at the end. A line over `MAX_LINE_BYTES` is cut and `is_cut`.

    `are_over` is set once stdin has ended and no line is left, also while nobody waits for one.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._came: asyncio.Queue[bytes] = asyncio.Queue()
        self._room = threading.Semaphore(AHEAD)
        self._splitter = FrameSplitter(MAX_LINE_BYTES)
        self._lines: list[Frame] = []
        self._has_ended = False
        self.are_over = asyncio.Event()
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    async def next(self) -> Frame | None:
        while not self._lines:
            if self._has_ended:
                return None
            data = await self._came.get()
            self._room.release()
            if data:
                self._lines = [*self._splitter.feed(data)][::-1]
            else:
                self._has_ended = True
                last = self._splitter.flush()
                self._lines = [last] if last else []
        return self._lines.pop()

    def _take(self, data: bytes) -> None:
        if not (data or self._came.qsize() or self._lines or self._splitter.pending_bytes):
            self.are_over.set()
        self._came.put_nowait(data)

    def _read(self) -> None:
        data = b"-"
        while data:
            self._room.acquire()
            try:
                data = os.read(STDIN, READ_BYTES)
            except OSError:
                data = b""
            try:
                self._loop.call_soon_threadsafe(self._take, data)
            except RuntimeError:  # the loop is closed: the process is about to end
                return


class Output:
    """Lines to stdout, whole and in order. `is_broken` is set when nobody reads it any more."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._unsent = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self.is_broken = asyncio.Event()
        self._is_done = asyncio.Event()
        threading.Thread(target=self._write, name="stdout", daemon=True).start()

    async def write(self, line: bytes) -> None:
        """`line` without its line feed. Waits while too much is unsent."""
        await self._has_room.wait()
        self._unsent += len(line)
        if self._unsent > UNSENT_BYTES:
            self._has_room.clear()
        self._lines.put(line + b"\n")

    async def finish(self, seconds: float) -> None:
        """Until everything is written, or nobody took it for `seconds`."""
        self._lines.put(None)
        try:
            await asyncio.wait_for(self._is_done.wait(), seconds)
        except TimeoutError:
            return

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            rest = memoryview(line)
            try:
                while rest:
                    rest = rest[os.write(STDOUT, rest) :]
            except OSError:
                self._tell(self._broke)
                break
            self._tell(self._sent, len(line) - 1)
        self._tell(self._is_done.set)

    def _broke(self) -> None:
        self.is_broken.set()
        self._has_room.set()

    def _sent(self, size: int) -> None:
        self._unsent -= size
        if self._unsent <= UNSENT_BYTES:
            self._has_room.set()

    def _tell(self, what: object, *arguments: int) -> None:
        try:
            self._loop.call_soon_threadsafe(what, *arguments)  # type: ignore[arg-type]
        except RuntimeError:  # the loop is closed: the process is about to end
            return
