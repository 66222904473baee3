r"""Chunks to frames, without I/O: a frame is what stands between two `\n` bytes, and nothing else ends one.

    >>> splitter = FrameSplitter()
    >>> splitter.feed(b'{"id":1}\n{"id"')
    [b'{"id":1}']
    >>> splitter.feed(b':2}\r\n')
    [b'{"id":2}\r']

`\r`, `\u2028`, NUL and invalid UTF-8 are content: a frame keeps every byte except its `\n`. A frame may be any size,
but only its first `keep_bytes` are kept, and `frame.size` tells how long it was, so a stream without newlines cannot
fill the memory. Where the recording has a gap, call `flush()`: the two sides of a gap must not be glued into one frame.
"""

from __future__ import annotations

KEEP_BYTES = 64 * 1024 * 1024  # four times the longest message that is stored whole


class Frame(bytes):
    """The bytes of one frame. `size` is its length on the wire; larger than `len(frame)` if its end was not kept."""

    size: int

    @property
    def is_cut(self) -> bool:
        return self.size > len(self)


class FrameSplitter:
    """One direction's splitter. Not for two threads."""

    def __init__(self, keep_bytes: int = KEEP_BYTES) -> None:
        self._keep_bytes = keep_bytes
        self._parts: list[bytes] = []
        self._kept = 0
        self._size = 0

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished frame has been fed."""
        return self._size

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes, in order."""
        first, *others = chunk.split(b"\n")
        if not others:
            self._add(first)
            return []
        frames = []
        for part in others:
            self._add(first)
            frames.append(self._take())
            first = part
        self._add(first)
        return frames

    def flush(self) -> Frame | None:
        r"""The unterminated last line, if there is one: what a server wrote before it died without a `\n`."""
        return self._take() if self._size else None

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        room = self._keep_bytes - self._kept
        if part and room > 0:
            self._parts.append(part[:room])
            self._kept += len(self._parts[-1])

    def _take(self) -> Frame:
        frame = Frame(b"".join(self._parts))
        frame.size = self._size
        self._parts, self._kept, self._size = [], 0, 0
        return frame
