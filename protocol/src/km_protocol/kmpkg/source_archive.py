"""What an author submits: the plugin's directory as one archive, of the same strict form as a package.

    manifest.json, main.go, go.mod, vendor/…             a Go plugin
    manifest.json, main.py, requirements.txt, tests/…    a Python plugin

The names are those of the directory. Programs are built from it, so nothing in it is executable. The same files give
the same bytes, so the same source sent twice is recognised by its SHA-256.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from km_protocol.errors import PackageError
from km_protocol.kmpkg import manifest as manifests
from km_protocol.kmpkg.archive_format import DATA_MODE, Entry
from km_protocol.kmpkg.archive_reader import ArchiveReader
from km_protocol.kmpkg.limits import Limits
from km_protocol.kmpkg.manifest import FILE_NAME, Manifest

MEDIA_TYPE = "application/vnd.kilometers.source+zip"
SOURCE_LIMITS = Limits(archive=64 * 1024 * 1024)  # a Go plugin with all it needs vendored has 2 to 20 MiB
LEFT_OUT = frozenset({"__pycache__", "node_modules"})
LEFT_OUT_AT_TOP = frozenset({"dist", "venv"})
DEPENDENCIES = ("vendor/",)
"""Where others' files lie, which may be hidden and still be needed."""

SITE = "site/"
"""Where a Python plugin's build puts what `requirements.txt` pins: part of its payload, never of its source."""

COMPILED = (".pyc", ".pyo", ".kmpkg")


@dataclass(frozen=True, slots=True)
class SourceArchive:
    """A source whose structure and manifest passed. What its files hold is checked as they are copied out."""

    archive: ArchiveReader
    manifest: Manifest
    manifest_bytes: bytes

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self.archive.entries

    def check_content(self) -> None:
        """Read every file and keep none. Raises `PackageError` when one is damaged."""
        for entry in self.entries:
            self.archive.copy(entry)


def open_source(file: BinaryIO, limits: Limits = SOURCE_LIMITS) -> SourceArchive:
    """`file` must be seekable and stay open. Raises `PackageError`, or `ManifestError` for the manifest within."""
    archive = ArchiveReader(file, limits)
    found = next((entry for entry in archive.entries if entry.name == FILE_NAME), None)
    if found is None:
        hint = "send it with `km-client plugin submit DIR`, from the directory that holds it"
        raise PackageError("source_manifest_missing", f"the source holds no `{FILE_NAME}`", hint)
    if found.size > manifests.MAX_BYTES:
        raise PackageError("package_entry_too_large", f"has {found.size:,} bytes", entry=FILE_NAME)
    for entry in archive.entries:
        _check_entry(entry)
    data = archive.read(found)
    source = SourceArchive(archive, manifests.parse(data), data)
    _check_site(source)
    return source


def is_left_out(path: str) -> bool:
    """Whether `path`, a file or a directory with `/` between its parts, is never part of a source.

    That is history, environments, what is made from the source, and what is hidden: authors keep secrets in `.env`.
    """
    parts = path.split("/")
    hidden = any(part.startswith(".") for part in parts) and not path.startswith(DEPENDENCIES)
    return hidden or not LEFT_OUT.isdisjoint(parts) or parts[0] in LEFT_OUT_AT_TOP or path.endswith(COMPILED)


def _check_site(source: SourceArchive) -> None:
    """What the build puts there is fixed by its hash; what an author put there would be run, and nobody knows whose."""
    shipped = next((entry for entry in source.entries if entry.name.lower().startswith(SITE)), None)
    if source.manifest.runtime == "python" and shipped is not None:
        message = f"is where the build puts a Python plugin's dependencies: `{SITE}` is no source"
        hint = f"pin what is in it by hash in `requirements.txt`, leave `{SITE}` out, and send it again"
        raise PackageError("source_ships_site", message, hint, entry=shipped.name)


def _check_entry(entry: Entry) -> None:
    if entry.mode != DATA_MODE:
        raise PackageError("package_mode", "is executable, which no source is", "send it again", entry=entry.name)
    if is_left_out(entry.name):
        message = "is not source: what is hidden, made from the source or an environment stays at home"
        raise PackageError("source_not_source", message, "send it with `km-client plugin submit`", entry=entry.name)
