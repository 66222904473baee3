"""Read an archive's directory, and hold every header to the one form of `archive_format`.

    read_directory(file, LIMITS) → (Entry('km/manifest.json', …), Entry('payload/main.py', …))

Afterwards every byte of the file belongs to exactly one entry, header or the end record, every header is byte for byte
what the entry's name, mode, method, checksum, sizes and offset make it, and no limit is passed by what the headers
claim. What the entries hold is not looked at: `archive_reader` finds out whether the claims are true.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from km_protocol.errors import PackageError
from km_protocol.kmpkg import archive_format as form
from km_protocol.kmpkg.archive_format import Entry
from km_protocol.kmpkg.entry_names import MAX_NAME_BYTES, Tree, check_name, shown
from km_protocol.kmpkg.limits import Limits

AGAIN = "fetch or build the package again"
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF  # ZIP64: the number is elsewhere
_LONGEST_COMMENT = 0xFFFF
_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13  # traditional, strong, and the directory itself


class _End(NamedTuple):
    entries: int
    size: int
    offset: int


class _Central(NamedTuple):
    """A header of the directory, as it stands."""

    signature: bytes
    made_by: int
    version: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed: int
    size: int
    name_length: int
    extra_length: int
    comment_length: int
    disk: int
    internal: int
    external: int
    offset: int


def read_directory(file: BinaryIO, limits: Limits) -> tuple[Entry, ...]:
    """Raises `PackageError`."""
    size = file.seek(0, os.SEEK_END)
    if size > limits.archive:
        message = f"the package has {size:,} bytes; at most {limits.archive:,} are read"
        raise PackageError("package_too_large", message)
    end = _read_end(file, size, limits)
    directory = read_exactly(file, end.offset, end.size)
    entries = _Entries(limits, size)
    at = 0
    for _ in range(end.entries):
        at = entries.add(directory, at)
    if at != len(directory):
        raise PackageError("package_gap", f"{len(directory) - at} bytes follow the directory's last header", AGAIN)
    _check_places(entries.found, end.offset)
    _check_local_headers(file, entries.found)
    return tuple(entries.found)


def read_exactly(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise PackageError("package_truncated", f"the package ends at byte {offset + len(data):,}, too early", AGAIN)
    return data


def _read_end(file: BinaryIO, size: int, limits: Limits) -> _End:
    is_archive = read_exactly(file, 0, min(size, 4)) == form.LOCAL_SIGNATURE
    if size < form.END.size:
        raise _no_end(file, size, is_archive=is_archive)
    start = size - form.END.size
    signature, disk, start_disk, here, count, length, offset, comment = form.END.unpack(
        read_exactly(file, start, form.END.size)
    )
    if signature != form.END_SIGNATURE:
        raise _no_end(file, size, is_archive=is_archive)
    if _has_zip64(file, start) or _FULL_16 in {here, count} or _FULL_32 in {length, offset}:
        raise PackageError("package_zip64", "the package is a ZIP64 archive, which no plugin is large enough to need")
    if disk or start_disk or here != count or comment:
        raise PackageError("package_end_record", "the package's end record names other disks or a comment", AGAIN)
    if not count:
        raise PackageError("package_empty", "the package holds no file")
    if count > limits.entries:
        raise PackageError("package_too_many_entries", f"the package holds {count:,} files; at most {limits.entries:,}")
    if offset + length < start:
        code, where = ("package_gap", "among") if is_archive else ("package_prepended", "before")
        raise PackageError(code, f"{start - offset - length:,} bytes lie {where} the package's own", AGAIN)
    if offset + length > start or length > count * (form.CENTRAL.size + MAX_NAME_BYTES):
        raise PackageError("package_directory", "the package's directory is not where its end record says", AGAIN)
    return _End(count, length, offset)


def _has_zip64(file: BinaryIO, start: int) -> bool:
    at = start - form.ZIP64_LOCATOR_BYTES
    return at >= 0 and read_exactly(file, at, 4) == form.ZIP64_LOCATOR_SIGNATURE


def _no_end(file: BinaryIO, size: int, *, is_archive: bool) -> PackageError:
    """Why the last 22 bytes are no end record: something follows it, it is cut off, or this never was an archive."""
    span = min(size, form.END.size + _LONGEST_COMMENT)
    found = read_exactly(file, size - span, span).rfind(form.END_SIGNATURE)
    if found >= 0 and span - found > form.END.size:
        return PackageError(
            "package_appended", f"{span - found - form.END.size:,} bytes follow the package's end", AGAIN
        )
    if is_archive:
        return PackageError("package_truncated", "the package has no end: it was cut off", AGAIN)
    return PackageError("package_not_archive", "this is not a package at all", "a package is made by `plugin build`")


class _Entries:
    """The entries so far, with what must hold among them."""

    def __init__(self, limits: Limits, archive_size: int) -> None:
        self.found: list[Entry] = []
        self._limits, self._archive_size = limits, archive_size
        self._tree = Tree(limits)
        self._total = 0

    def add(self, directory: bytes, at: int) -> int:
        """The entry whose header begins `at`; returns where the next one does."""
        if at + form.CENTRAL.size > len(directory):
            raise PackageError("package_directory", "the package's directory ends within a header", AGAIN)
        header = _Central._make(form.CENTRAL.unpack_from(directory, at))
        at += form.CENTRAL.size
        end = at + header.name_length + header.extra_length + header.comment_length
        if header.signature != form.CENTRAL_SIGNATURE or end > len(directory):
            raise PackageError("package_directory", "the package's directory holds something else than headers", AGAIN)
        raw = directory[at : at + header.name_length]
        if raw.endswith(b"/"):
            raise PackageError("package_directory_entry", "is an entry for a directory", entry=shown(raw))
        name = check_name(raw)
        for check in _CHECKS:
            check(name, header)
        self._check_order(name)
        self._check_sizes(name, header)
        mode = header.external >> 16 & 0o777
        self.found.append(Entry(name, mode, header.method, header.crc, header.packed, header.size, header.offset))
        return end

    def _check_order(self, name: str) -> None:
        self._tree.add(name)
        if self.found and name < self.found[-1].name:
            raise PackageError("package_order", "is not in its place: names are sorted", AGAIN, entry=name)

    def _check_sizes(self, name: str, header: _Central) -> None:
        limits = self._limits
        self._total += header.size
        if header.size > limits.entry:
            raise _too_large("package_entry_too_large", name, f"would have {header.size:,} bytes", limits.entry)
        if self._total > limits.total:
            raise _too_large("package_total_too_large", name, f"brings all to {self._total:,} bytes", limits.total)
        if header.size > max(limits.ratio_floor, header.packed * limits.ratio):
            raise PackageError("package_bomb", f"would grow more than {limits.ratio}-fold", entry=name)
        if self._total > max(limits.ratio_floor, self._archive_size * limits.ratio):
            raise PackageError("package_bomb", f"makes the package grow more than {limits.ratio}-fold", entry=name)


def _check_kind(name: str, header: _Central) -> None:
    """A plain file with one of two modes, and nothing in the attributes' lower half, which is DOS's."""
    kind, mode = stat.S_IFMT(header.external >> 16), stat.S_IMODE(header.external >> 16)
    if kind == stat.S_IFLNK:
        raise PackageError("package_symlink", "is a symbolic link", entry=name)
    if kind == stat.S_IFDIR or header.external & 0x10:
        raise PackageError("package_directory_entry", "is an entry for a directory", entry=name)
    if kind != stat.S_IFREG or header.external & 0xFFFF:
        raise PackageError("package_special_file", "is not a plain file", entry=name)
    if mode & 0o7000:
        raise PackageError("package_setuid", f"would be setuid, setgid or sticky ({mode:o})", entry=name)
    if mode not in {form.DATA_MODE, form.PROGRAM_MODE}:
        raise PackageError("package_mode", f"has mode {mode:o}; 644 and 755 are allowed", entry=name)


def _check_flags(name: str, header: _Central) -> None:
    if header.flags & _ENCRYPTED:
        raise PackageError("package_encrypted", "is encrypted", entry=name)
    if header.flags != form.FLAGS:
        raise PackageError("package_flags", f"has the flags {header.flags:#06x}; none are allowed", entry=name)


def _check_fields(name: str, header: _Central) -> None:
    if _FULL_32 in {header.packed, header.size, header.offset}:
        raise PackageError("package_zip64", "needs ZIP64, which no plugin is large enough to need", entry=name)
    if header.method not in {form.STORED, form.DEFLATED}:
        raise PackageError("package_method", f"is packed by method {header.method}, not stored or deflated", entry=name)
    if (header.version, header.made_by) != (form.VERSION, form.MADE_BY):
        raise PackageError("package_version", f"needs version {header.version} of {header.made_by:#06x}", entry=name)
    if (header.time, header.date) != (form.TIME, form.DATE):
        raise PackageError("package_time", "has a time, which would make every build different", entry=name)
    if header.extra_length:
        raise PackageError("package_extra_field", f"has {header.extra_length} bytes of extra fields", entry=name)
    if header.comment_length or header.disk or header.internal:
        raise PackageError("package_entry_comment", "has a comment, another disk or internal attributes", entry=name)
    if header.method == form.STORED and header.packed != header.size:
        raise PackageError("package_size", "is stored as it is, in another size than its own", entry=name)


_CHECKS: tuple[Callable[[str, _Central], None], ...] = (_check_flags, _check_kind, _check_fields)


def _check_places(entries: list[Entry], end: int) -> None:
    """Each begins where the one before ends, the first at 0, the directory after the last."""
    at = 0
    for entry in entries:
        if entry.offset < at:
            raise PackageError("package_overlap", f"overlaps what lies before byte {at:,}", AGAIN, entry=entry.name)
        if entry.offset > at:
            code = "package_gap" if at else "package_prepended"
            raise PackageError(code, f"has {entry.offset - at:,} foreign bytes before it", AGAIN, entry=entry.name)
        at = entry.end
    if at > end:
        raise PackageError("package_overlap", "overlaps the directory", AGAIN, entry=entries[-1].name)
    if at < end:
        raise PackageError("package_gap", f"has {end - at:,} foreign bytes after it", AGAIN, entry=entries[-1].name)


def _check_local_headers(file: BinaryIO, entries: list[Entry]) -> None:
    for entry in entries:
        expected = form.local_header(entry)
        if read_exactly(file, entry.offset, len(expected)) != expected:
            message = "has two headers that do not agree: before its data, and in the directory"
            raise PackageError("package_headers_differ", message, AGAIN, entry=entry.name)


def _too_large(code: str, name: str, message: str, most: int) -> PackageError:
    return PackageError(code, f"{message}; at most {most:,} are allowed", entry=name)
