"""A package put together of parts that are packed already: 13 MB of program are not deflated for each customer.

    program = pack_program("payload/tool-stats", data)     once, when the payload is built
    filled(program, data, at, customer)                    for one customer; only the slot's 4 KiB are packed
    assemble([...])                                        the archive, in the one form there is

A program with a slot is deflated in three pieces, before, slot and after, each ended with a full flush, so that they
depend on nothing of each other (RFC 1951, section 3.2.4) and the middle one can be replaced. A blank slot always
packs to the same few bytes, by which the piece is found again. Whatever is made here is read
back by the strict reader, or by `verify`, before anybody gets it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import IO

from km_protocol.kmpkg import slot
from km_protocol.kmpkg.archive_format import (
    DATA_MODE,
    DEFLATED,
    PROGRAM_MODE,
    STORED,
    Entry,
    central_header,
    end_record,
    local_header,
)
from km_protocol.kmpkg.limits import LIMITS
from km_protocol.kmpkg.slot import CustomerData

_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Packed:
    """A file of a package, ready to be written. `content` is what stands in the archive, of `size` bytes unpacked."""

    name: str
    content: bytes
    size: int
    crc: int
    method: int = DEFLATED
    mode: int = DATA_MODE


def pack(name: str, data: bytes) -> Packed:
    """A file of data, deflated where that helps and is no bomb."""
    return _packed(name, data, _deflated(data, zlib.Z_FINISH), DATA_MODE)


def pack_program(name: str, data: bytes) -> Packed:
    """A program; in three pieces when it has a slot."""
    if data.count(slot.MARKER) != 1:
        return _packed(name, data, _deflated(data, zlib.Z_FINISH), PROGRAM_MODE)
    at = slot.find(data)
    before, after = _deflated(data[:at], zlib.Z_FULL_FLUSH), _deflated(data[at + slot.SIZE :], zlib.Z_FINISH)
    return _packed(name, data, before + _deflated(data[at : at + slot.SIZE], zlib.Z_FULL_FLUSH) + after, PROGRAM_MODE)


def filled(program: Packed, data: bytes, at: int, customer: CustomerData) -> Packed:
    """`program`, which holds `data` with a slot `at`, for a customer. Raises `SlotError` unless the slot is blank."""
    slot.check_blank(data, at)
    around, inside, end = memoryview(data), slot.filled(customer), at + slot.SIZE
    if program.method == STORED:
        content = b"".join((around[:at], inside, around[end:]))
    else:
        blank = _deflated(slot.BLANK, zlib.Z_FULL_FLUSH)
        if program.content.count(blank) != 1:  # packed by another zlib: pack all of it
            return pack_program(program.name, b"".join((around[:at], inside, around[end:])))
        content = program.content.replace(blank, _deflated(inside, zlib.Z_FULL_FLUSH))
    crc = zlib.crc32(around[end:], zlib.crc32(inside, zlib.crc32(around[:at])))
    return replace(program, content=content, crc=crc)


def taken(file: IO[bytes], entry: Entry) -> Packed:
    """A file of an archive that was read strictly, as it is packed there."""
    file.seek(entry.data_offset)
    return Packed(entry.name, file.read(entry.packed), entry.size, entry.crc, entry.method, entry.mode)


def assemble(files: Iterable[Packed]) -> bytes:
    """The archive. The same files give the same bytes."""
    parts: list[bytes] = []
    directory, offset = bytearray(), 0
    members = sorted(files, key=lambda file: file.name)
    for file in members:
        entry = Entry(file.name, file.mode, file.method, file.crc, len(file.content), file.size, offset)
        parts += (local_header(entry), file.content)
        directory += central_header(entry)
        offset = entry.end
    return b"".join((*parts, directory, end_record(len(members), len(directory), offset)))


def _packed(name: str, data: bytes, deflated: bytes, mode: int) -> Packed:
    method = DEFLATED if len(deflated) < len(data) <= len(deflated) * LIMITS.ratio else STORED
    content = deflated if method == DEFLATED else data
    return Packed(name, content, len(data), zlib.crc32(data), method, mode)


def _deflated(data: bytes, flush: int) -> bytes:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush(flush)
