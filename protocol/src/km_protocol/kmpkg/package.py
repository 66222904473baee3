"""What lies where in a `.kmpkg`, and what that makes it.

    km/manifest.json      the plugin's manifest, byte for byte
    payload/…             what runs: for Go the program at `entry`, for Python the sources and `site/`

That is a development package: nobody signed it. There is room for a signed one's statements (`km/manifest.dsse.json`,
`km/provenance.dsse.json`, `km/review.dsse.json`, `km/sbom.cdx.json`) and for what is one customer's own (`overlay/`). A
reader that cannot check those refuses them, rather than run a signed package without looking at its signatures.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from km_protocol.errors import PackageError
from km_protocol.kmpkg import manifest as manifests
from km_protocol.kmpkg.archive_format import PROGRAM_MODE, Entry
from km_protocol.kmpkg.archive_reader import ArchiveReader
from km_protocol.kmpkg.limits import LIMITS, Limits
from km_protocol.kmpkg.manifest import Manifest

SUFFIX = ".kmpkg"
MANIFEST = "km/manifest.json"
PAYLOAD = "payload/"
_HASH_DIGITS = 12
_FILE_NAME = re.compile(rf"km-plugin-[a-z0-9-]+-([0-9a-f]{{{_HASH_DIGITS}}})\{SUFFIX}", re.ASCII)
_LISTING_TITLE = "kmpkg payload 1"


class PayloadFile(NamedTuple):
    """`name` within `payload/`; `sha256` in hexadecimal digits."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Package:
    """A package whose structure and manifest passed. What its files hold is checked as they are copied out."""

    archive: ArchiveReader
    manifest: Manifest
    manifest_bytes: bytes
    payload: tuple[Entry, ...]

    def listing(self) -> bytes:
        """Reads every file of the payload, and keeps none."""
        files = (PayloadFile(payload_name(entry), entry.size, self.archive.copy(entry)) for entry in self.payload)
        return payload_listing(files)


def file_name(plugin: str, sha256: str) -> str:
    """`km-plugin-my-plugin-3f9a0c41d2e8.kmpkg`, from the SHA-256 of the whole file."""
    return f"km-plugin-{plugin}-{sha256[:_HASH_DIGITS]}{SUFFIX}"


def check_file_name(name: str, sha256: str) -> None:
    """A file that is called like a package must be that package. Raises `PackageError`; other names say nothing."""
    match = _FILE_NAME.fullmatch(name)
    if match and not sha256.startswith(match[1]):
        message = f"the package's name says {match[1]}, its content {sha256[:_HASH_DIGITS]}: it was changed or damaged"
        raise PackageError("package_hash_differs", message, "fetch or build the package again")


def payload_name(entry: Entry) -> str:
    return entry.name.removeprefix(PAYLOAD)


def payload_listing(files: Iterable[PayloadFile]) -> bytes:
    """A title, then a line for each file, sorted by name: SHA-256, size in bytes, name."""
    lines = (f"{file.sha256} {file.size} {file.name}" for file in sorted(files))
    return "".join(f"{line}\n" for line in (_LISTING_TITLE, *lines)).encode("ascii")


def payload_digest(listing: bytes) -> str:
    """What a review certifies: it depends on the files alone, not on how they were packed."""
    return hashlib.sha256(listing).hexdigest()


def open_package(file: BinaryIO, limits: Limits = LIMITS) -> Package:
    """Raises `PackageError`, or `ManifestError` for the manifest within."""
    archive = ArchiveReader(file, limits)
    found = next((entry for entry in archive.entries if entry.name == MANIFEST), None)
    if found is None:
        raise PackageError("package_manifest_missing", f"the package holds no `{MANIFEST}`", "build it again")
    if found.size > manifests.MAX_BYTES:
        raise PackageError("package_entry_too_large", f"has {found.size:,} bytes", entry=MANIFEST)
    data = archive.read(found)
    manifest = manifests.parse(data)
    payload = tuple(entry for entry in archive.entries if entry.name.startswith(PAYLOAD))
    _check_layout(archive.entries, payload)
    _check_programs((found, *payload), manifest)
    return Package(archive, manifest, data, payload)


def _check_layout(entries: tuple[Entry, ...], payload: tuple[Entry, ...]) -> None:
    for entry in entries:
        if entry.name != MANIFEST and not entry.name.startswith(PAYLOAD):
            message = "is not part of a development package, and this version cannot check any other"
            raise PackageError("package_layout", message, "install a newer km-client", entry=entry.name)
    for entry in payload:
        if payload_name(entry).split("/")[0].lower() == manifests.FILE_NAME:
            raise PackageError(
                "package_layout", f"is where `{MANIFEST}` is unpacked to", "build it again", entry=entry.name
            )


def _check_programs(entries: tuple[Entry, ...], manifest: Manifest) -> None:
    """The entry is there, and is the one file that may be executed, and only where it is executed itself."""
    start = PAYLOAD + manifest.entry
    if all(entry.name != start for entry in entries):
        raise PackageError("package_entry_missing", f"the package does not hold its entry, `{start}`", "build it again")
    for entry in entries:
        is_program = manifest.runtime == "go" and entry.name == start
        if (entry.mode == PROGRAM_MODE) != is_program:
            message = "is not executable, and the plugin starts with it" if is_program else "must not be executable"
            raise PackageError("package_mode", message, "build it again", entry=entry.name)
