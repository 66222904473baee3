"""Write a `.kmpkg` archive: the same files give the same bytes, wherever and whenever they are packed.

    with path.open("wb") as file:
        write_archive([Member("km/manifest.json", manifest_path.read_bytes), Member("payload/main.py", …)], file)

Names sorted, times fixed, modes two, deflate at level 6. The same bytes need the same zlib: another version may pack
differently, and what it packs unpacks to the same. A file is stored as it is when deflate does not make it smaller, and
when it makes it so much smaller that a reader would take it for a bomb. One file at a time is in memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from km_protocol.errors import PackageError
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
from km_protocol.kmpkg.entry_names import Tree, check_name
from km_protocol.kmpkg.limits import LIMITS, Limits

_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Member:
    """A file to pack. `read` is called once, when its turn comes."""

    name: str
    read: Callable[[], bytes]
    is_program: bool = False


def write_archive(members: Iterable[Member], out: BinaryIO, limits: Limits = LIMITS) -> tuple[Entry, ...]:
    """To `out`, from where it stands. Raises `PackageError` on what a reader would refuse; `out` is then worthless."""
    chosen = sorted(members, key=lambda member: _raw(member.name))
    _check_names(chosen, limits)
    entries: list[Entry] = []
    offset = total = 0
    for member in chosen:
        entry, packed = _pack(member, offset, limits)
        total += entry.size
        if total > limits.total:
            raise _too_large(
                "package_total_too_large", member.name, f"brings the files to {total:,} bytes", limits.total
            )
        out.write(local_header(entry) + packed)
        entries.append(entry)
        offset = entry.end
    directory = b"".join(map(central_header, entries))
    out.write(directory + end_record(len(entries), len(directory), offset))
    return tuple(entries)


def _check_names(members: list[Member], limits: Limits) -> None:
    if not members:
        raise PackageError("package_empty", "there is no file to pack")
    if len(members) > limits.entries:
        message = f"there are {len(members):,} files to pack; at most {limits.entries:,} are allowed"
        raise PackageError("package_too_many_entries", message, "leave out what the plugin does not need")
    tree = Tree(limits)
    for member in members:
        tree.add(check_name(_raw(member.name)))


def _raw(name: str) -> bytes:
    """Also of a name that is not Unicode, as a directory may hold: it is refused by name, not by an accident."""
    return name.encode("utf-8", "surrogatepass")


def _pack(member: Member, offset: int, limits: Limits) -> tuple[Entry, bytes]:
    data = member.read()
    if len(data) > limits.entry:
        raise _too_large("package_entry_too_large", member.name, f"has {len(data):,} bytes", limits.entry)
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(data) + packer.flush()
    method = DEFLATED if len(packed) < len(data) <= len(packed) * limits.ratio else STORED
    content = packed if method == DEFLATED else data
    mode = PROGRAM_MODE if member.is_program else DATA_MODE
    entry = Entry(member.name, mode, method, zlib.crc32(data), len(content), len(data), offset)
    if entry.end > limits.archive:
        raise _too_large("package_too_large", member.name, f"brings the package to {entry.end:,} bytes", limits.archive)
    return entry, content


def _too_large(code: str, name: str, message: str, most: int) -> PackageError:
    return PackageError(
        code, f"{message}; at most {most:,} are allowed", "leave out what the plugin does not need", entry=name
    )
