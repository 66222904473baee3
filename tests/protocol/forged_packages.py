"""Packages that must be refused, each made byte by byte: nothing of ours takes part in making them.

for attack in ATTACKS: attack.code, attack.names, attack.build()
"""

from __future__ import annotations

import json
import stat
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MANIFEST: dict[str, Any] = {
    "name": "forged",
    "version": "1.0.0",
    "description": "Never runs.",
    "author": "Tests",
    "license": "MIT",
    "runtime": "python",
    "entry": "main.py",
    "compatibility": {"kilometers_cli": ">=0.1.0"},
    "permissions": {"network": False, "filesystem": False, "system": False},
}
FILE, LINK, DIRECTORY, FIFO = stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO
FULL = 0xFFFFFFFF


@dataclass
class Forged:
    """An entry. What is not given is as it must be; `local` says what the header before the data says instead."""

    name: bytes
    data: bytes = b"x = 1\n"
    method: int = 0
    attributes: int = (FILE | 0o644) << 16
    flags: int = 0
    version: int = 20
    made_by: int = 0x0314
    time: int = 0
    date: int = 33
    crc: int | None = None
    packed: bytes | None = None  # the bytes in the archive
    packed_size: int | None = None
    size: int | None = None
    extra: bytes = b""
    comment: bytes = b""
    disk: int = 0
    internal: int = 0
    offset: int | None = None
    gap: bytes = b""  # before the entry
    trailer: bytes = b""  # after its data
    local: dict[str, Any] = field(default_factory=dict)

    def content(self) -> bytes:
        if self.packed is not None:
            return self.packed
        if self.method != 8:
            return self.data
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        return packer.compress(self.data) + packer.flush()

    def _shared(self, lengths: tuple[int, int], given: dict[str, Any]) -> bytes:
        value = {key: given.get(key, getattr(self, key)) for key in ("version", "flags", "method", "time", "date")}
        crc = given.get("crc", self.crc)
        packed, size = given.get("packed_size", self.packed_size), given.get("size", self.size)
        return struct.pack(
            "<HHHHHIIIHH",
            *value.values(),
            zlib.crc32(self.data) if crc is None else crc,
            len(self.content()) if packed is None else packed,
            len(self.data) if size is None else size,
            *lengths,
        )

    def header(self) -> bytes:
        name: bytes = self.local.get("name", self.name)
        extra: bytes = self.local.get("extra", self.extra)
        return b"PK\x03\x04" + self._shared((len(name), len(extra)), self.local) + name + extra

    def central(self, offset: int) -> bytes:
        at = offset if self.offset is None else self.offset
        tail = struct.pack("<HHHII", len(self.comment), self.disk, self.internal, self.attributes, at)
        made_by = struct.pack("<H", self.made_by)
        return (
            b"PK\x01\x02"
            + made_by
            + self._shared((len(self.name), len(self.extra)), {})
            + tail
            + self.name
            + self.extra
            + self.comment
        )


def archive(
    *entries: Forged,
    prefix: bytes = b"",
    before_directory: bytes = b"",
    before_end: bytes = b"",
    suffix: bytes = b"",
    shift: int = 0,
    end: dict[str, int] | None = None,
    in_order: bool = True,
) -> bytes:
    """`shift` is added to every offset, `end` replaces fields of the end record."""
    body, directory = prefix, b""
    for entry in sorted(entries, key=lambda entry: entry.name) if in_order else entries:
        body += entry.gap
        directory += entry.central(len(body) + shift)
        body += entry.header() + entry.content() + entry.trailer
    body += before_directory
    values = {
        "disk": 0,
        "start_disk": 0,
        "here": len(entries),
        "count": len(entries),
        "size": len(directory),
        "offset": len(body) + shift,
        "comment": 0,
    } | (end or {})
    return body + directory + before_end + b"PK\x05\x06" + struct.pack("<HHHHIIH", *values.values()) + suffix


def manifest(**changes: Any) -> Forged:
    return Forged(b"km/manifest.json", json.dumps(MANIFEST | changes).encode())


def main(**changes: Any) -> Forged:
    return Forged(b"payload/main.py", **changes)


def package(*more: Forged, **how: Any) -> bytes:
    """A package that would be right, with `more` in it."""
    return archive(manifest(), main(), *more, **how)


def named(*names: bytes) -> Callable[[], bytes]:
    return lambda: package(*map(Forged, names))


def changed(**fields: Any) -> Callable[[], bytes]:
    return lambda: archive(manifest(), main(**fields))


def deflated(data: bytes, level: int = 9) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def _with_two_mains() -> bytes:
    return archive(manifest(), main(), main(data=b"evil = 1\n"))


def _overlapping() -> bytes:
    """The second entry's header lies within the first one's data."""
    inner = Forged(b"payload/z.py", b"evil\n")
    outer = main(data=inner.header() + inner.data)
    inner.offset = len(manifest().header() + manifest().data + outer.header())
    inner.packed, inner.packed_size, inner.size, inner.crc = b"", 5, 5, zlib.crc32(b"evil\n")
    body = b"".join(entry.header() + entry.content() for entry in (manifest(), outer))
    offset = len(manifest().header() + manifest().content())
    directory = manifest().central(0) + outer.central(offset) + inner.central(0)
    return body + directory + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 3, 3, len(directory), len(body), 0)


def _same_data_twice() -> bytes:
    """Two entries of the directory, one place in the file: how a few KB become petabytes."""
    data = package(Forged(b"payload/other.py"))
    first = len(manifest().header() + manifest().content())
    second = first + len(main().header() + main().content())
    return data.replace(struct.pack("<I", second) + b"payload/other.py", struct.pack("<I", first) + b"payload/other.py")


def _bomb_among_others() -> bytes:
    """The package as a whole does not grow much."""
    return package(Forged(b"payload/real", bytes(1 << 20)), Forged(b"payload/z.py", bytes(3 << 20), method=8))


def _many_small_bombs() -> bytes:
    """Each small enough to be let through alone."""
    packed = deflated(bytes(1024 * 1024))
    return package(*(Forged(b"payload/%03d" % n, bytes(1024 * 1024), method=8, packed=packed) for n in range(20)))


def _hungry(size: int) -> Forged:
    """An entry that claims `size` bytes and has few."""
    return Forged(b"payload/z", method=8, packed=deflated(b"z" * 100_000), packed_size=None, size=size)


def _zip64_end() -> bytes:
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, 0, 1)
    return package(before_end=locator)


def _many(count: int) -> list[Forged]:
    return [Forged(b"payload/%05d" % n, b"") for n in range(count)]


def _deep(count: int) -> list[Forged]:
    return [Forged(b"payload/%03d" % n + b"/a" * 90 + b"/x", b"") for n in range(count)]


def _large_manifest() -> bytes:
    return archive(manifest(description="x" * 70_000), main())


def _too_large_together() -> bytes:
    """None too large alone, and none a bomb."""
    claims = (Forged(b"payload/%d" % n, size=100 << 20, packed_size=1 << 20, method=8) for n in range(3))
    return package(Forged(b"payload/0 real", bytes(2 << 20)), *claims)


def _misspelt() -> Forged:
    return manifest(permissions={"netwrok": False})


def _directory(data: bytes) -> bytes:
    size, offset = struct.unpack_from("<II", data, len(data) - 10)
    return data[offset : offset + size]


class Attack(NamedTuple):
    """`names`: what the message must name."""

    title: str
    code: str
    names: str
    build: Callable[[], bytes]


_SETUID, _LINKED = (FILE | 0o4755) << 16, (LINK | 0o777) << 16
_Z = b"payload/z.py"
ATTACKS = [
    # Names
    Attack("zip-slip", "package_name_traversal", "payload/../../evil", named(b"payload/../../evil")),
    Attack("a part that is a dot", "package_name_traversal", "payload/./a", named(b"payload/./a")),
    Attack("an empty part", "package_name_traversal", "payload//a", named(b"payload//a")),
    Attack("an absolute name", "package_name_absolute", "/etc/cron.d/evil", named(b"/etc/cron.d/evil")),
    Attack("a backslash", "package_name_backslash", "payload", named(b"payload\\..\\evil")),
    Attack("a drive", "package_name_drive", "C:/evil", named(b"C:/evil")),
    Attack("an alternate stream", "package_name_characters", "main.py:evil", named(b"payload/main.py:evil")),
    Attack("a NUL", "package_name_control", "\\x00", named(b"payload/a\0.py")),
    Attack("a newline", "package_name_control", "\\n", named(b"payload/a\nb.py")),
    Attack("an escape sequence", "package_name_control", "\\x1b", named(b"payload/\x1b[2J.py")),
    Attack("a device", "package_name_reserved", "AUX.txt", named(b"payload/AUX.txt")),
    Attack("a device with a space", "package_name_reserved", "con .py", named(b"payload/con .py")),
    Attack("a device as directory", "package_name_reserved", "com1", named(b"payload/com1/a.py")),
    Attack("a trailing dot", "package_name_characters", "evil.", named(b"payload/evil.")),
    Attack("a trailing space", "package_name_characters", "evil ", named(b"payload/evil ")),
    Attack("an option", "package_name_characters", "-rf", named(b"payload/-rf")),
    Attack("a short name of Windows", "package_name_characters", "MAIN~1.PY", named(b"payload/MAIN~1.PY")),
    Attack("Unicode", "package_name_characters", "\\xe9", named("payload/é.py".encode())),
    Attack("invalid UTF-8", "package_name_characters", "\\xff", named(b"payload/\xff.py")),
    Attack("a long name", "package_name_length", "payload", named(b"payload/" + b"a/" * 200 + b"a")),
    Attack("a long part", "package_name_length", "payload", named(b"payload/" + b"a" * 129)),
    Attack("no name", "package_name_length", "", named(b"")),
    # Names together
    Attack("the same name twice", "package_duplicate", "payload/main.py", _with_two_mains),
    Attack("names that differ by case", "package_duplicate", "MAIN.py", named(b"payload/MAIN.py")),
    Attack(
        "directories that differ by case", "package_duplicate", "`payload/a`", named(b"payload/A/x", b"payload/a/y")
    ),
    Attack(
        "names that differ by normal form",
        "package_name_characters",
        "payload",
        named("payload/é.py".encode(), "payload/é.py".encode()),
    ),
    Attack(
        "a file that is a directory", "package_file_and_directory", "payload/a", named(b"payload/a", b"payload/a/b")
    ),
    Attack(
        "a directory that is a file",
        "package_file_and_directory",
        "payload/a",
        named(b"payload/A", b"payload/a/b"),
    ),
    Attack(
        "a directory that is a file by case",
        "package_file_and_directory",
        "payload/a",
        named(b"payload/A/b", b"payload/a"),
    ),
    Attack(
        "names out of order",
        "package_order",
        "payload/a.py",
        lambda: archive(manifest(), main(), Forged(b"payload/a.py"), in_order=False),
    ),
    # Kinds of files
    Attack(
        "a symbolic link",
        "package_symlink",
        "payload/z.py",
        lambda: package(Forged(_Z, b"/etc/passwd", attributes=_LINKED)),
    ),
    Attack("a setuid program", "package_setuid", "payload/z.py", lambda: package(Forged(_Z, attributes=_SETUID))),
    Attack("a directory", "package_directory_entry", "payload/a/", named(b"payload/a/")),
    Attack(
        "a directory by its mode", "package_directory_entry", "main.py", changed(attributes=(DIRECTORY | 0o755) << 16)
    ),
    Attack("a directory by DOS", "package_directory_entry", "main.py", changed(attributes=(FILE | 0o644) << 16 | 0x10)),
    Attack("a pipe", "package_special_file", "main.py", changed(attributes=(FIFO | 0o644) << 16)),
    Attack("no kind of file", "package_special_file", "main.py", changed(attributes=0o644 << 16)),
    Attack("DOS attributes", "package_special_file", "main.py", changed(attributes=(FILE | 0o644) << 16 | 1)),
    Attack("a mode that all may write", "package_mode", "main.py", changed(attributes=(FILE | 0o666) << 16)),
    Attack("an executable that is not the entry", "package_mode", "main.py", changed(attributes=(FILE | 0o755) << 16)),
    # Bytes that belong to nothing
    Attack("bytes before, offsets kept", "package_prepended", "5", lambda: package(prefix=b"junk!", shift=-5)),
    Attack("bytes before, offsets right", "package_prepended", "manifest", lambda: package(prefix=b"junk!")),
    Attack("a program before", "package_prepended", "before", lambda: b"\x7fELF" + bytes(60) + package()),
    Attack("bytes after", "package_appended", "4", lambda: package(suffix=b"junk")),
    Attack("a comment", "package_appended", "4", lambda: package(suffix=b"junk", end={"comment": 4})),
    Attack("two packages in one", "package_gap", "among", lambda: package() + package()),
    Attack("a gap", "package_gap", "payload/z.py", lambda: package(Forged(_Z, gap=b"hidden"))),
    Attack("a gap before the directory", "package_gap", "payload/main.py", lambda: package(before_directory=b"hidden")),
    Attack("a gap before the end", "package_gap", "among", lambda: package(before_end=b"hidden")),
    Attack(
        "a gap within the directory",
        "package_gap",
        "directory",
        lambda: package(before_end=b"hidden", end={"size": len(_directory(package())) + 6}),
    ),
    Attack(
        "bytes after an entry's data", "package_gap", "payload/z.py", lambda: package(Forged(_Z, trailer=b"hidden"))
    ),
    Attack("extra fields that the directory hides", "package_gap", "main.py", changed(local={"extra": b"hidden"})),
    Attack("overlapping entries", "package_overlap", "payload/z.py", _overlapping),
    Attack("one place for two entries", "package_overlap", "payload/other.py", _same_data_twice),
    Attack("an entry that reaches into the directory", "package_overlap", "main.py", changed(packed_size=20, size=20)),
    # Bombs and limits
    Attack("a bomb", "package_bomb", "payload/z.py", lambda: package(Forged(_Z, bytes(3_000_000), method=8))),
    Attack("a bomb among other files", "package_bomb", "payload/z.py", _bomb_among_others),
    Attack("many small bombs", "package_bomb", "fold", _many_small_bombs),
    Attack("a bomb that lies about its size", "package_size", "payload/z", lambda: package(_hungry(50))),
    Attack("an entry smaller than it says", "package_size", "payload/z", lambda: package(_hungry(100_001))),
    Attack("an entry too large", "package_entry_too_large", "payload/z", lambda: package(_hungry(FULL - 1))),
    Attack(
        "entries too large together",
        "package_total_too_large",
        "bytes",
        _too_large_together,
    ),
    Attack("too many entries", "package_too_many_entries", "5,001", lambda: archive(*_many(5_001))),
    Attack("too many directories", "package_too_many_directories", "payload", lambda: archive(*_deep(60))),
    Attack("a manifest too large", "package_entry_too_large", "km/manifest.json", _large_manifest),
    # Data
    Attack("a wrong checksum", "package_damaged", "main.py", changed(crc=7)),
    Attack("a damaged stream", "package_damaged", "main.py", changed(method=8, packed=b"\x07\xff\xff")),
    Attack("a stream cut off", "package_damaged", "main.py", changed(method=8, packed=deflated(b"x = 1\n")[:-2])),
    Attack(
        "bytes after a stream", "package_damaged", "main.py", changed(method=8, packed=deflated(b"x = 1\n") + b"hid")
    ),
    Attack("no stream at all", "package_damaged", "main.py", changed(method=8, packed=b"")),
    Attack("stored in another size", "package_size", "main.py", changed(size=5)),
    Attack("cut off in the middle", "package_truncated", "cut off", lambda: package()[:-100]),
    Attack("cut off within the end", "package_truncated", "cut off", lambda: package()[:-1]),
    Attack("cut off after ten bytes", "package_truncated", "cut off", lambda: package()[:10]),
    Attack("nothing", "package_not_archive", "not a package", lambda: b""),
    Attack("text", "package_not_archive", "not a package", lambda: b"#!/bin/sh\nrm -rf /\n" * 9),
    Attack("no entries", "package_empty", "no file", archive),
    # Headers
    Attack("encryption", "package_encrypted", "main.py", changed(flags=1)),
    Attack("strong encryption", "package_encrypted", "main.py", changed(flags=1 << 6)),
    Attack("a data descriptor", "package_flags", "main.py", changed(flags=1 << 3)),
    Attack("the flag for UTF-8", "package_flags", "main.py", changed(flags=1 << 11)),
    Attack("an unknown method", "package_method", "main.py", changed(method=14)),
    Attack("a newer version", "package_version", "main.py", changed(version=45)),
    Attack("made elsewhere", "package_version", "main.py", changed(made_by=0x0014)),
    Attack("a time", "package_time", "main.py", changed(time=1)),
    Attack("extra fields", "package_extra_field", "main.py", changed(extra=b"up\x04\0evil")),
    Attack("an entry's comment", "package_entry_comment", "main.py", changed(comment=b"evil")),
    Attack("another disk", "package_entry_comment", "main.py", changed(disk=1)),
    Attack("internal attributes", "package_entry_comment", "main.py", changed(internal=1)),
    Attack("ZIP64 in an entry", "package_zip64", "main.py", changed(packed_size=FULL, method=8)),
    Attack("ZIP64 in the end record", "package_zip64", "ZIP64", lambda: package(end={"count": 0xFFFF, "here": 0xFFFF})),
    Attack("a ZIP64 locator", "package_zip64", "ZIP64", _zip64_end),
    Attack("another disk's end", "package_end_record", "end record", lambda: package(end={"disk": 1})),
    Attack(
        "a directory larger than its entries",
        "package_directory",
        "directory",
        lambda: package(before_end=bytes(9999), end={"size": len(_directory(package())) + 9999}),
    ),
    Attack("two counts", "package_end_record", "end record", lambda: package(end={"here": 1})),
    Attack("a count too small", "package_gap", "directory", lambda: package(end={"count": 1, "here": 1})),
    Attack("a count too large", "package_directory", "directory", lambda: package(end={"count": 3, "here": 3})),
    Attack("a directory elsewhere", "package_directory", "directory", lambda: package(end={"offset": 1_000_000})),
    Attack(
        "a directory that is none", "package_directory", "directory", lambda: package().replace(b"PK\1\2", b"PK\1\3")
    ),
    *(
        Attack(f"two headers that differ in {key}", "package_headers_differ", "main.py", changed(local={key: value}))
        for key, value in {
            "name": b"payload/evil.py",
            "method": 8,
            "flags": 8,
            "version": 10,
            "time": 1,
            "date": 34,
            "crc": 1,
            "packed_size": 5,
            "size": 5,
        }.items()
    ),
    Attack(
        "no header before the data",
        "package_headers_differ",
        "manifest",
        lambda: package().replace(b"PK\3\4\x14", b"PK\3\4\x15", 1),
    ),
    # What a package is
    Attack("no manifest", "package_manifest_missing", "km/manifest.json", lambda: archive(main())),
    Attack("no entry", "package_entry_missing", "payload/main.py", lambda: archive(manifest(), Forged(_Z))),
    Attack("a file beside the payload", "package_layout", "evil.py", named(b"evil.py")),
    Attack("a signature nobody can check", "package_layout", "km/manifest.dsse.json", named(b"km/manifest.dsse.json")),
    Attack("an overlay", "package_layout", "overlay/licence.json", named(b"overlay/licence.json")),
    Attack("a second manifest", "package_layout", "payload/manifest.json", named(b"payload/manifest.json")),
    Attack("a second manifest by case", "package_layout", "payload/Manifest.json", named(b"payload/Manifest.json")),
    Attack(
        "a Go program that cannot be executed",
        "package_mode",
        "payload/forged",
        lambda: archive(manifest(runtime="go", entry="forged"), Forged(b"payload/forged")),
    ),
    Attack("a manifest that is wrong", "invalid_manifest", "netwrok", lambda: archive(_misspelt(), main())),
]
