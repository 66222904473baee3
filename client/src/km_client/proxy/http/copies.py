"""A copy of what passes, for the recording: decoded, bounded for each message and for all of them together.

    copy = Copy(room, coding=b"gzip"); copy.add(data) …; copy.content, copy.size

What passes is never changed: where a server compresses, the copy is decoded and the wire is not. Only the first
`KEEP_BYTES` of a message are kept, and all copies share one `Room`, so neither a message without end nor many of them
can fill the memory; `size` counts every byte.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

KEEP_BYTES = 16 * 1024 * 1024  # the longest message that is shipped whole
ROOM_BYTES = 96 * 1024 * 1024  # six of those at once
PIECE_BYTES = 256 * 1024  # of what is inflated: a bomb is met in pieces, each dropped when there is no room
IDENTITY = (b"", b"identity")
INFLATED = (b"gzip", b"x-gzip", b"deflate")
_EITHER_HEADER = 32 + zlib.MAX_WBITS


class Room:
    """Memory that copies share, in bytes."""

    def __init__(self, size: int = ROOM_BYTES) -> None:
        self._left = size

    def take(self, wanted: int) -> int:
        """As much of `wanted` as there is."""
        given = min(wanted, self._left)
        self._left -= given
        return given

    def give_back(self, size: int) -> None:
        self._left += size


class Decoding:
    """One body's content coding. `problem` says why nothing more comes out of it."""

    def __init__(self, coding: bytes) -> None:
        coding = coding.strip().lower()
        self.problem = ""
        self._inflater = zlib.decompressobj(_EITHER_HEADER) if coding in INFLATED else None
        if coding not in IDENTITY and not self._inflater:
            self.problem = f"it is compressed with `{coding.decode('latin-1')}`, which is not decoded"

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What `data` stands for."""
        if self.problem or not data:
            return
        if not self._inflater:
            yield data
            return
        try:
            while data:
                yield self._inflater.decompress(data, PIECE_BYTES)
                data = self._inflater.unconsumed_tail
        except zlib.error as error:
            self.problem = f"it is not the compressed data that it says it is: {error}"


class Copy:
    """The first bytes of one body."""

    def __init__(self, room: Room, coding: bytes = b"") -> None:
        self.size = 0
        self._room = room
        self._decoding = Decoding(coding)
        self._parts: list[bytes] = []
        self._kept = 0

    @property
    def content(self) -> bytes:
        return b"".join(self._parts)

    @property
    def problem(self) -> str:
        return self._decoding.problem

    def add(self, data: bytes) -> None:
        for piece in self._decoding.pieces(data):
            self.size += len(piece)
            room = self._room.take(min(len(piece), KEEP_BYTES - self._kept))
            if room:
                self._parts.append(piece[:room])
                self._kept += room

    def drop(self) -> None:
        """Give the room back. May be called twice."""
        self._room.give_back(self._kept)
        self._parts, self._kept = [], 0
