"""A revision's source on disk, checked to be the one its row names.

    unpack(revision.source, place / "source").directory

Read by the strict reader; the files are read-only to everybody and no program is among them.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from km_protocol.errors import ManifestError, PackageError
from km_protocol.kmpkg.manifest import Manifest
from km_protocol.kmpkg.source_archive import SourceArchive, open_source

from plugins_registry.building.errors import BuildError, DigestDiffers, SourceRefused
from plugins_registry.models import Source


@dataclass(frozen=True, slots=True)
class Unpacked:
    """`directory` holds the source and nothing else."""

    directory: Path
    manifest: Manifest
    manifest_bytes: bytes
    sha256: str

    def has(self, name: str) -> bool:
        return (self.directory / name).exists()


BOX_MAY_LOOK = 0o755  # its user is nobody


def unpack(source: Source, into: Path) -> Unpacked:
    """Into the new directory `into`. Raises `DigestDiffers`, `SourceRefused`, `BuildError`."""
    try:
        with source.file.open("rb") as file:
            return unpack_file(file, source.sha256, into)
    except FileNotFoundError:
        message = f"the source {source.sha256[:12]}… is not in the storage any more"
        raise BuildError(message, "restore the registry's storage from its backup") from None


def unpack_file(file: IO[bytes], sha256: str, into: Path) -> Unpacked:
    """As `unpack`, from an open file that must have that SHA-256."""
    copy = into.with_suffix(".source")
    with copy.open("w+b") as kept:  # the storage may be a network's: read once, checked once
        shutil.copyfileobj(file, kept)
        kept.seek(0)
        found = hashlib.file_digest(kept, "sha256").hexdigest()
        if found != sha256:
            message = f"the stored source has the SHA-256 {found[:12]}…, and {sha256[:12]}… was submitted"
            raise DigestDiffers(message, "the storage was changed or damaged: restore it, and look into how")
        try:
            opened = open_source(kept)
            _write(opened, into)
        except (PackageError, ManifestError) as error:
            raise SourceRefused(str(error), error.hint) from None
    copy.unlink()
    return Unpacked(into, opened.manifest, opened.manifest_bytes, sha256)


def _write(opened: SourceArchive, into: Path) -> None:
    """The reader vouches for the names: they lead nowhere but beneath `into`, which nobody else writes to."""
    into.mkdir(mode=0o755)
    for entry in opened.entries:
        target = into / entry.name
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with target.open("xb") as file:
            opened.archive.copy(entry, file.write)
        target.chmod(0o444)
