"""What lies where in a `.kmpkg`, and what that makes it.

    km/manifest.json      the plugin's manifest, byte for byte
    payload/…             what runs: for Go the program at `entry`, for Python the sources and `site/`

That is a development package: nobody signed it. A signed one also holds

    km/manifest.dsse.json, km/provenance.dsse.json       signed by the issuer
    km/review.dsse.json                                  signed by the reviewers
    km/sbom.cdx.json                                     a bill of materials
    overlay/…                                            this customer's own data

`open_package` reads development packages and refuses any of those, rather than run a signed package without looking at
its signatures; `verify` reads signed ones.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
OVERLAY = "overlay/"
CUSTOMER = "overlay/customer.json"
STATEMENT, PROVENANCE, REVIEW = "km/manifest.dsse.json", "km/provenance.dsse.json", "km/review.dsse.json"
SBOM = "km/sbom.cdx.json"
_HASH_DIGITS = 12
_FILE_NAME = re.compile(rf"km-plugin-[a-z0-9-]+-([0-9a-f]{{{_HASH_DIGITS}}})\{SUFFIX}", re.ASCII)
_SIGNED = {STATEMENT, PROVENANCE, REVIEW, SBOM}
_LISTING_TITLE = "kmpkg payload 1"
_OVERLAY_TITLE = "kmpkg overlay 1"


class PayloadFile(NamedTuple):
    """`name` within `payload/`; `sha256` in hexadecimal digits."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Package:
    """A package whose structure and manifest passed. What its files hold is checked as they are copied out.

    `statements` holds what else is beneath `km/`, by name.
    """

    archive: ArchiveReader
    manifest: Manifest
    manifest_bytes: bytes
    payload: tuple[Entry, ...]
    overlay: tuple[Entry, ...] = ()
    statements: Mapping[str, Entry] = field(default_factory=dict)

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
    return _listing(_LISTING_TITLE, files)


def overlay_digest(files: Iterable[PayloadFile]) -> str:
    """As a payload's, under a title of its own; names within `overlay/`."""
    return hashlib.sha256(_listing(_OVERLAY_TITLE, files)).hexdigest()


def _listing(title: str, files: Iterable[PayloadFile]) -> bytes:
    lines = (f"{file.sha256} {file.size} {file.name}" for file in sorted(files))
    return "".join(f"{line}\n" for line in (title, *lines)).encode("ascii")


def payload_digest(listing: bytes) -> str:
    """What a review certifies: it depends on the files alone, not on how they were packed."""
    return hashlib.sha256(listing).hexdigest()


def open_package(file: BinaryIO, limits: Limits = LIMITS) -> Package:
    """A development package. Raises `PackageError`, or `ManifestError` for the manifest within."""
    package = read_manifest(ArchiveReader(file, limits))
    for entry in (*package.overlay, *package.statements.values()):
        message = "is part of a signed package, and this is where unsigned ones are read"
        raise PackageError("package_layout", message, "`km-client plugins install` reads signed ones", entry=entry.name)
    check_layout(package)
    return package


def read_manifest(archive: ArchiveReader) -> Package:
    """Raises `PackageError`, or `ManifestError`; nothing but the manifest was looked at yet."""
    found = next((entry for entry in archive.entries if entry.name == MANIFEST), None)
    if found is None:
        raise PackageError("package_manifest_missing", f"the package holds no `{MANIFEST}`", "build it again")
    if found.size > manifests.MAX_BYTES:
        raise PackageError("package_entry_too_large", f"has {found.size:,} bytes", entry=MANIFEST)
    data = archive.read(found)
    manifest = manifests.parse(data)
    payload = tuple(entry for entry in archive.entries if entry.name.startswith(PAYLOAD))
    overlay = tuple(entry for entry in archive.entries if entry.name.startswith(OVERLAY))
    statements = {entry.name: entry for entry in archive.entries if entry.name in _SIGNED}
    return Package(archive, manifest, data, payload, overlay, statements)


def check_layout(package: Package) -> None:
    """Every file is one a package may hold, and where it may be executed. Raises `PackageError`."""
    entries = package.archive.entries
    known = {MANIFEST, *package.statements, *(entry.name for entry in (*package.payload, *package.overlay))}
    for entry in entries:
        if entry.name not in known:
            message = "is not part of a package that this version knows"
            raise PackageError("package_layout", message, "install a newer km-client", entry=entry.name)
    for entry in package.payload:
        top = payload_name(entry).split("/")[0].lower()
        if top == manifests.FILE_NAME:
            message = f"is where `{MANIFEST}` is unpacked to"
            raise PackageError("package_layout", message, "build it again", entry=entry.name)
        if package.overlay and top == OVERLAY.rstrip("/"):
            message = "is where the customer's own data is unpacked to"
            raise PackageError("package_layout", message, "rename it and build again", entry=entry.name)
    _check_programs(entries, package.manifest)


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
