"""The names a package's files may have: every system reads the same path, beneath the directory it is unpacked to.

    payload/site/google/_upb/_message.abi3.so       allowed
    payload/../../.ssh/authorized_keys              package_name_traversal
    payload/AUX.txt                                 package_name_reserved: Windows opens a device

ASCII only, so that no two spellings of a name exist (Unicode's normal forms, full-width slashes, case pairs outside
A-Z). Names that differ by case only are one file on macOS and Windows; a `Tree` refuses them.
"""

from __future__ import annotations

import re

from km_protocol.errors import PackageError
from km_protocol.kmpkg.limits import Limits

MAX_NAME_BYTES = 200  # Windows' 260, less the directory a package is unpacked to
MAX_PART_BYTES = 128
_PART = re.compile(r"[A-Za-z0-9_.](?:[A-Za-z0-9_.+@=,() -]*[A-Za-z0-9_+@=,()-])?", re.ASCII)
# What Windows opens as a device, with any extension.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{digit}" for name in ("com", "lpt") for digit in range(10))}


def check_name(raw: bytes) -> str:
    """The name as text. Raises `PackageError` with the first rule it breaks."""
    fault = _fault(raw) or next(filter(None, map(_fault_of_part, raw.decode("ascii").split("/"))), None)
    if fault:
        raise PackageError(f"package_name_{fault[0]}", fault[1], "rename the file and build again", entry=shown(raw))
    return raw.decode("ascii")


def shown(raw: bytes) -> str:
    """A name that may hold anything, fit to be printed."""
    return ascii(raw.decode("utf-8", "backslashreplace"))[1:-1][:MAX_NAME_BYTES]


def _fault(raw: bytes) -> tuple[str, str] | None:
    if not raw or len(raw) > MAX_NAME_BYTES:
        return "length", f"has a name of {len(raw)} bytes; 1 to {MAX_NAME_BYTES} are allowed"
    if any(byte < 0x20 or byte == 0x7F for byte in raw):
        return "control", "has a control character in its name"
    if b"\\" in raw:
        return "backslash", "has a backslash in its name, which Windows takes for a separator"
    if raw.startswith(b"/"):
        return "absolute", "has an absolute name"
    if re.match(rb"[A-Za-z]:", raw):
        return "drive", "names a Windows drive"
    if not raw.isascii():
        return "characters", "has characters in its name that are not ASCII"
    return None


def _fault_of_part(part: str) -> tuple[str, str] | None:
    if part in {"", ".", ".."}:
        return "traversal", f"has `{part}` as a part of its name"
    if len(part) > MAX_PART_BYTES:
        return "length", f"has a part of {len(part)} bytes in its name; {MAX_PART_BYTES} are allowed"
    if part.partition(".")[0].rstrip(" ").lower() in _DEVICES:
        return "reserved", f"has `{part}` in its name, which is a device on Windows"
    if not _PART.fullmatch(part):
        return "characters", f"has `{part}` in its name; allowed are A-Z a-z 0-9 _ . + @ = , ( ) - and spaces within"
    return None


class Tree:
    """The names of one archive together: no two may be one path, and none may be a file and a directory."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._files: dict[str, str] = {}  # by lower case
        self._directories: dict[str, str] = {}

    def add(self, name: str) -> None:
        """Raises `PackageError` naming both."""
        key = name.lower()
        if other := self._files.get(key):
            raise _clash("package_duplicate", name, f"is there twice, also as `{other}`")
        if key in self._directories:
            raise _clash("package_file_and_directory", name, "is a file and a directory")
        self._files[key] = name
        at = name.rpartition("/")[0]
        while at and self._directories.get(at.lower()) != at:
            self._add_directory(at, name)
            at = at.rpartition("/")[0]

    def _add_directory(self, directory: str, name: str) -> None:
        key = directory.lower()
        if other := self._directories.get(key):
            raise _clash("package_duplicate", name, f"lies in `{directory}`, which is also spelt `{other}`")
        if other := self._files.get(key):
            raise _clash("package_file_and_directory", name, f"lies beneath `{other}`, which is a file")
        if len(self._directories) == self._limits.directories:
            raise _clash(
                "package_too_many_directories", name, f"lies in one directory more than {len(self._directories)}"
            )
        self._directories[key] = directory


def _clash(code: str, name: str, message: str) -> PackageError:
    return PackageError(code, message, "rename one of them and build again", entry=name)
