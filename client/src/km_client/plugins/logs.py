"""One plugin's log: what it printed, what the host says about it, what it tried and was refused.

    2026-11-22T15:40:00.123Z stderr: Plugin initialized for customer: cus_1
    2026-11-22T15:40:01.004Z host: crashed (exited with code 3); starts again in 1 s

Two files, `KEY.log` and `KEY.log.1`, of at most `MOST_BYTES` each, readable by their owner only. A plugin that floods
is read to the end, so that it never blocks, and most of it is thrown away: past `RATE_BYTES` in a window, bytes are
only counted. Control characters are escaped: a log is shown in a terminal.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

MOST_BYTES = 1024 * 1024
RATE_BYTES, RATE_SECONDS = 256 * 1024, 10.0
LONGEST_LINE = 8 * 1024
Clock = Callable[[], float]  # Unix seconds


class PluginLog:
    """Used by the host's thread and, for refused attempts, by the notifier's: one `write` is one line."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path, self._clock = path, clock
        self._file: int | None = None
        self._size = 0
        self._window_from, self._window_bytes, self._suppressed = 0.0, 0, 0
        self._partial: dict[str, bytes] = {}

    def note(self, text: str) -> None:
        """A line of the host's own; never rate-limited."""
        self._write("host", text.encode(), self._clock())

    def note_limited(self, text: str) -> None:
        """A line about something the plugin causes, and may cause a thousand times a second."""
        self._limited("host", text.encode(), self._clock())

    def feed(self, source: str, data: bytes) -> None:
        """Bytes as they come from `source`; whole lines are written, a rest waits for its end or `LONGEST_LINE`."""
        now = self._clock()
        if self._window_bytes >= RATE_BYTES and now - self._window_from < RATE_SECONDS:
            self._suppressed += len(data) + len(self._partial.pop(source, b""))  # a flood is not even split into lines
            return
        *lines, rest = (self._partial.pop(source, b"") + data).split(b"\n")
        while len(rest) > LONGEST_LINE:
            lines.append(rest[:LONGEST_LINE])
            rest = rest[LONGEST_LINE:]
        for line in lines:
            self._limited(source, line[:LONGEST_LINE], now)
        if rest:
            self._partial[source] = rest

    def close(self) -> None:
        for source, rest in self._partial.items():
            self._limited(source, rest, self._clock())
        self._partial.clear()
        self._say_suppressed(self._clock())
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _limited(self, source: str, line: bytes, now: float) -> None:
        if now - self._window_from >= RATE_SECONDS:
            self._say_suppressed(now)
            self._window_from, self._window_bytes = now, 0
        self._window_bytes += len(line) + 1
        if self._window_bytes > RATE_BYTES:
            self._suppressed += len(line) + 1
            return
        self._write(source, line, now)

    def _say_suppressed(self, now: float) -> None:
        if self._suppressed:
            self._write("host", f"{self._suppressed} bytes of output were not kept".encode(), now)
            self._suppressed = 0

    def _write(self, source: str, line: bytes, now: float) -> None:
        moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = line.decode(errors="backslashreplace").rstrip("\r")
        text = "".join(char if char.isprintable() or char == "\t" else f"\\x{ord(char):02x}" for char in text)
        data = f"{moment} {source}: {text}\n".encode()
        try:
            self._append(data)
        except OSError:  # a full disk costs the log, never the plugin; the next line tries again
            self._file = None

    def _append(self, data: bytes) -> None:
        if self._file is not None and self._size + len(data) > MOST_BYTES:
            os.close(self._file)
            self._file = None
            self.path.replace(self.path.with_name(self.path.name + ".1"))
        if self._file is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self.path, flags, 0o600)
            self._size = os.fstat(self._file).st_size
        os.write(self._file, data)
        self._size += len(data)
