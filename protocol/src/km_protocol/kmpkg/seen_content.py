"""What packed files were found to hold, so that the same bytes are inflated once, however often they are read.

    seen = SeenContent()
    ArchiveReader(file, seen=seen).copy(entry)            inflated, its size and checksum compared, its SHA-256 taken
    ArchiveReader(signed, seen=seen).copy(its_entry)      the same packed bytes: only these are hashed

A content is known by the SHA-256 of the packed bytes and by what the header claims of them, so a stream that differs in
one bit, or is claimed to be longer, is read anew. Whoever holds the object says how long that holds: for one package
that is taken apart and put together again, not for a process.
"""

from __future__ import annotations

from typing import NamedTuple

from km_protocol.kmpkg.archive_format import Entry


class Content(NamedTuple):
    """`sha256` of the content, in hexadecimal digits; `data` only where somebody asked for the bytes themselves."""

    sha256: str
    data: bytes | None


class SeenContent:
    """Contents that passed the reader's checks, and nothing else."""

    def __init__(self) -> None:
        self._contents: dict[tuple[str, int, int, int], Content] = {}

    def get(self, packed_sha256: str, entry: Entry) -> Content | None:
        return self._contents.get(_key(packed_sha256, entry))

    def keep(self, packed_sha256: str, entry: Entry, content: Content) -> None:
        """To be called after `entry` was read to its end without a fault."""
        self._contents[_key(packed_sha256, entry)] = content


def _key(packed_sha256: str, entry: Entry) -> tuple[str, int, int, int]:
    return packed_sha256, entry.method, entry.size, entry.crc
