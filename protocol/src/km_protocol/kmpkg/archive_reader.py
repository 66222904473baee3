"""Read a `.kmpkg` archive strictly, one file at a time, without trusting any number in it.

    archive = ArchiveReader(file)                    every header checked: names, modes, sizes, places, limits
    archive.read(archive.entries[0])                 b'{"name": …'
    archive.copy(archive.entries[1], out.write)      "9f86d081…": its SHA-256; size and checksum were checked

No archive library takes part, so no second reading of the same bytes exists that could differ from ours. Deflate is the
one layer where different bytes may mean the same: the unused bits of a stream's last byte, or another distance to equal
text. Such a package unpacks to the same files; that it is *the same package* only a digest of the whole can say (the
one in its file name here, TUF's for a published one). Packing again and comparing would not do instead: zlib's versions
pack differently.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from km_protocol.errors import PackageError
from km_protocol.kmpkg.archive_directory import AGAIN, read_directory, read_exactly
from km_protocol.kmpkg.archive_format import STORED, Entry
from km_protocol.kmpkg.limits import LIMITS, Limits
from km_protocol.kmpkg.seen_content import Content, SeenContent

_CHUNK_BYTES = 256 * 1024


class ArchiveReader:
    """`file` must be seekable and stay open. Raises `PackageError` when anything about its structure is wrong.

    `seen`: contents that need not be inflated again, to which those that are read here are added.
    """

    def __init__(self, file: BinaryIO, limits: Limits = LIMITS, seen: SeenContent | None = None) -> None:
        self._file, self._seen = file, seen
        self.entries = read_directory(file, limits)

    def read(self, entry: Entry) -> bytes:
        """What `entry` holds; for files that are known to be small."""
        out = io.BytesIO()
        self.copy(entry, out.write)
        return out.getvalue()

    def copy(self, entry: Entry, write: Callable[[bytes], object] | None = None) -> str:
        """Pass on what `entry` holds piece by piece; returns its SHA-256. Raises `PackageError` when it is damaged.

        What was passed on before an error is not to be used.
        """
        return self._checked(entry, write) if self._seen is None else self._once(entry, write, self._seen)

    def _once(self, entry: Entry, write: Callable[[bytes], object] | None, seen: SeenContent) -> str:
        packed = hashlib.sha256()
        for piece in self._stored(entry):
            packed.update(piece)
        known = seen.get(packed.hexdigest(), entry)
        if known is None or (write is not None and known.data is None):
            held: list[bytes] = []
            sha256 = self._checked(entry, None if write is None else held.append)
            known = Content(sha256, None if write is None else b"".join(held))
            seen.keep(packed.hexdigest(), entry, known)
        if write is not None and known.data is not None:
            write(known.data)
        return known.sha256

    def _checked(self, entry: Entry, write: Callable[[bytes], object] | None) -> str:
        digest, crc, size = hashlib.sha256(), 0, 0
        for piece in self._stored(entry) if entry.method == STORED else self._inflated(entry):
            size += len(piece)
            if size > entry.size:
                raise PackageError("package_size", f"is larger than its {entry.size:,} bytes", AGAIN, entry=entry.name)
            crc = zlib.crc32(piece, crc)
            digest.update(piece)
            if write is not None:
                write(piece)
        if size != entry.size:
            message = f"has {size:,} bytes where its header says {entry.size:,}"
            raise PackageError("package_size", message, AGAIN, entry=entry.name)
        if crc != entry.crc:
            raise PackageError("package_damaged", "does not have its checksum", AGAIN, entry=entry.name)
        return digest.hexdigest()

    def _stored(self, entry: Entry) -> Iterator[bytes]:
        for at in range(entry.data_offset, entry.end, _CHUNK_BYTES):
            yield read_exactly(self._file, at, min(_CHUNK_BYTES, entry.end - at))

    def _inflated(self, entry: Entry) -> Iterator[bytes]:
        """At most `_CHUNK_BYTES` at once, whatever the stream would grow to."""
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        pieces = self._stored(entry)
        packed = b""
        try:
            while not inflater.eof:
                packed = packed or next(pieces, b"")
                piece = inflater.decompress(packed, _CHUNK_BYTES)
                if not packed and not piece and not inflater.eof:
                    raise PackageError("package_damaged", "ends before its data does", AGAIN, entry=entry.name)
                packed = inflater.unconsumed_tail
                yield piece
        except zlib.error as error:
            raise PackageError("package_damaged", f"cannot be inflated: {error}", AGAIN, entry=entry.name) from None
        if inflater.unused_data or next(pieces, b""):
            raise PackageError("package_damaged", "has bytes after the end of its data", AGAIN, entry=entry.name)
