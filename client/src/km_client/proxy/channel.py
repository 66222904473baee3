"""One direction of the relay: bytes from `source` to `sink` as they come, each chunk recorded once it was passed on.

    source ──read ≤ 64 KiB──▶ sink        `poll` says when; while the sink is full the channel holds the rest of one
                    └───────▶ journal     chunk and reads no more, so the writer feels it, as it would without a relay

Guarantees: every byte in order and none twice; at most one chunk in memory; no handler ever blocks, so a slow reader
cannot stop the other direction. Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from time import monotonic, monotonic_ns, time_ns

from km_client.capture.journal import DirectionJournal

CHUNK_BYTES = 64 * 1024  # a pipe holds no more; larger reads pass malloc's mmap threshold and cost two page faults each
READABLE = select.POLLIN
WRITABLE = select.POLLOUT
NOTHING = memoryview(b"")


class Watch:
    """Which descriptors are waited for, and who is called when one is ready (or broken, or at its end)."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], object]] = {}

    def add(self, fd: int, events: int, handler: Callable[[], object]) -> None:
        self._handlers[fd] = handler
        self._poll.register(fd, events)

    def remove(self, fd: int) -> None:
        if self._handlers.pop(fd, None):
            self._poll.unregister(fd)

    def wait(self, timeout_ms: float | None) -> None:
        """Call the handlers of what is ready, at most `timeout_ms` from now."""
        for fd, _ in self._poll.poll(timeout_ms):
            if handler := self._handlers.get(fd):  # an earlier handler of this round may have removed it
                handler()


class Channel:
    """`on_end()` is called when the source ended and everything was passed on; `on_broken()` when nobody reads the
    sink any more. After either the channel touches its descriptors no more; whoever made it closes them.
    """

    def __init__(
        self,
        source: int,
        sink: int,
        journal: DirectionJournal,
        watch: Watch,
        *,
        on_end: Callable[[], None],
        on_broken: Callable[[], None],
    ) -> None:
        self._source = source
        self._sink = sink
        self._journal = journal
        self._watch = watch
        self._on_end = on_end
        self._on_broken = on_broken
        self._held = NOTHING
        self._is_open = True
        self._watch.add(source, READABLE, self.on_readable)

    def on_readable(self) -> bool:
        """Move one chunk. Whether there was one."""
        try:
            chunk = os.read(self._source, CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # ECONNRESET of a socket, EIO of a terminal: its other side is gone
            chunk = b""
        if not chunk:
            self.close()
            self._on_end()
            return False
        read_at, read_at_unix = monotonic_ns(), time_ns()
        try:
            written = os.write(self._sink, chunk)
        except OSError:  # full, or broken: `on_writable` will find out which
            written = 0
        if written < len(chunk):
            self._hold(memoryview(chunk)[written:])
        self._journal.append(chunk, read_at, read_at_unix)
        return True

    def on_writable(self) -> None:
        """Pass on more of the chunk that is held; when all of it is, read again."""
        try:
            self._held = self._held[os.write(self._sink, self._held) :]
        except BlockingIOError:
            return
        except OSError:  # EPIPE, ECONNRESET: nobody will ever read this
            self.close()
            self._on_broken()
            return
        if not self._held:
            self._watch.remove(self._sink)
            self._watch.add(self._source, READABLE, self.on_readable)

    def drain(self, seconds: float) -> None:
        """Move what is in the source now, without waiting for more; give up on a sink that is full for that long."""
        deadline = monotonic() + seconds
        sink = select.poll()
        sink.register(self._sink, WRITABLE)
        while self._is_open and (left := deadline - monotonic()) > 0:
            if self._held:
                sink.poll(left * 1000)
                self.on_writable()
            elif not self.on_readable():
                return

    def close(self) -> None:
        """Wait for nothing any more."""
        self._is_open = False
        self._watch.remove(self._sink if self._held else self._source)
        self._held = NOTHING

    def _hold(self, rest: memoryview) -> None:
        self._held = rest
        self._watch.remove(self._source)
        self._watch.add(self._sink, WRITABLE, self.on_writable)
