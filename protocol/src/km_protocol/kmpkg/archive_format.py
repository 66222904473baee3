"""The bytes of a `.kmpkg`: the one form of a ZIP archive (PKWARE's APPNOTE 6.3) that is written and read here.

    entry     50 4B 03 04 | 14 00 00 00 08 00 | 00 00 21 00 | crc, packed, size | name length 00 00 | name | data
    …         one after the other, sorted by name, from the first byte of the file
    directory 50 4B 01 02 | 14 03 | the same fields again | 00 … 00 | mode, offset | name        for each entry
    end       50 4B 05 06 | 00 00 00 00 | count, count, size, offset | 00 00      the file's last 22 bytes

Everything is fixed but an entry's name, mode, method, checksum, sizes and offset, so these determine both its headers
byte for byte: no extra fields, comments, flags, data descriptors, times, encryption, ZIP64 or other disks.
"""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass

STORED, DEFLATED = 0, 8
DATA_MODE, PROGRAM_MODE = 0o644, 0o755
VERSION = 20  # deflate and directories' names
MADE_BY = 3 << 8 | VERSION  # on Unix: the upper half of the external attributes is a mode
FLAGS = 0
TIME, DATE = 0, 1 << 5 | 1  # 1980-01-01 00:00, the earliest there is

LOCAL_SIGNATURE, CENTRAL_SIGNATURE, END_SIGNATURE = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
ZIP64_LOCATOR_SIGNATURE = b"PK\x06\x07"
ZIP64_LOCATOR_BYTES = 20
# signature, version, flags, method, time, date, crc, packed, size, name length, extra length
LOCAL = struct.Struct("<4s5H3I2H")
# signature, made by, version, flags, method, time, date, crc, packed, size, name length, extra length, comment length,
# disk, internal attributes, external attributes, offset
CENTRAL = struct.Struct("<4s6H3I5H2I")
# signature, this disk, directory's disk, entries on this disk, entries, directory's size and offset, comment length
END = struct.Struct("<4s4H2IH")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive. `packed` and `size` in bytes, `offset` that of its local header."""

    name: str
    mode: int  # DATA_MODE or PROGRAM_MODE
    method: int  # STORED or DEFLATED
    crc: int
    packed: int
    size: int
    offset: int

    @property
    def data_offset(self) -> int:
        return self.offset + LOCAL.size + len(self.name)

    @property
    def end(self) -> int:
        return self.data_offset + self.packed


def local_header(entry: Entry) -> bytes:
    sizes = (entry.crc, entry.packed, entry.size, len(entry.name), 0)
    return LOCAL.pack(LOCAL_SIGNATURE, VERSION, FLAGS, entry.method, TIME, DATE, *sizes) + entry.name.encode("ascii")


def central_header(entry: Entry) -> bytes:
    sizes = (entry.crc, entry.packed, entry.size, len(entry.name), 0)
    fixed = (CENTRAL_SIGNATURE, MADE_BY, VERSION, FLAGS, entry.method, TIME, DATE)
    external = (stat.S_IFREG | entry.mode) << 16
    return CENTRAL.pack(*fixed, *sizes, 0, 0, 0, external, entry.offset) + entry.name.encode("ascii")


def end_record(entries: int, size: int, offset: int) -> bytes:
    """`size` and `offset` of the directory."""
    return END.pack(END_SIGNATURE, 0, 0, entries, entries, size, offset, 0)
