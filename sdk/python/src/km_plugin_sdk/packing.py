"""Build a plugin and put it into one file.

    pack(Path("slow-tools")).path        slow-tools/dist/km-plugin-slow-tools-3f9a0c41d2e8.kmpkg

The same source gives the same bytes. A Go plugin's package holds its program; a Python plugin's holds the directory,
without what is hidden, tests, caches, virtual environments and earlier packages, and without the scripts in `site/`,
which name this machine's interpreter. A package that the strict reader does not take back is not left behind.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from km_protocol.kmpkg import package
from km_protocol.kmpkg.archive_writer import Member, write_archive
from km_protocol.kmpkg.limits import LIMITS
from km_protocol.kmpkg.manifest import FILE_NAME, Manifest

from km_plugin_sdk.project import build, read_manifest
from km_plugin_sdk.walking import plain_files

DIRECTORY = "dist"
_SITE = "site"
_LEFT_OUT = {DIRECTORY, "tests", FILE_NAME}  # at the top
_SCRIPTS = f"{_SITE}/bin"
_COMPILED = (".pyc", ".pyo")


@dataclass(frozen=True, slots=True)
class Packed:
    """`size` in bytes; digests in hexadecimal digits. `files` counts those of the payload."""

    path: Path
    size: int
    files: int
    sha256: str
    payload_digest: str


def pack(directory: Path) -> Packed:
    """Raises `ProjectError`, `ManifestError` or `PackageError`; then there is no new file."""
    manifest = read_manifest(directory)
    build(directory, reproducibly=True)
    target = directory / DIRECTORY
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".packing-", dir=target) as scratch:
        made = Path(scratch) / "package"
        with made.open("wb") as file:
            write_archive(members(directory, manifest), file)
        with made.open("rb") as file:
            read_back = package.open_package(file)
            listing = read_back.listing()
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = made.stat().st_size
        path = made.replace(target / package.file_name(manifest.name, sha256))
    return Packed(path, size, len(read_back.payload), sha256, package.payload_digest(listing))


def members(directory: Path, manifest: Manifest) -> list[Member]:
    """What belongs into the package of the plugin that was built in `directory`."""
    is_program = manifest.runtime == "go"
    names = [manifest.entry] if is_program else plain_files(directory, "", _is_left_out, "a package")
    payload = (Member(package.PAYLOAD + name, _reading(directory / name), is_program) for name in names)
    return [Member(package.MANIFEST, _reading(directory / FILE_NAME)), *payload]


def _is_left_out(name: str) -> bool:
    last = name.rpartition("/")[2]
    if name in _LEFT_OUT or name == _SCRIPTS or last == "__pycache__" or last.endswith(_COMPILED):
        return True
    # Wheels keep libraries in `.dylibs`; an author keeps secrets in `.env`.
    return last.startswith(".") and not name.startswith(f"{_SITE}/")


def _reading(path: Path) -> Callable[[], bytes]:
    """One byte more than is allowed is enough for the writer to refuse it."""

    def read() -> bytes:
        with path.open("rb") as file:
            return file.read(LIMITS.entry + 1)

    return read
