"""From a `.kmpkg` to a plugin's directory that can be run: read strictly, then unpacked once, whole or not at all.

    unpacked = unpack(Path("km-plugin-slow-tools-3f9a0c41d2e8.kmpkg"), into=unpacked_dir())
    unpacked.directory      …/unpacked/3f9a0c41d2e8…/plugin: `manifest.json` and the payload, as they were built
    unpacked.hold           while this object lives, nobody removes the directory

What is run is, byte for byte, what the package says: an earlier unpacking is used again only after every file was found
to have its size and SHA-256, and none to be missing or added. A development package is not signed: whoever could write
the file could have written anything into it. The sandbox holds it to its manifest all the same.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from km_protocol.errors import ManifestError, PackageError
from km_protocol.kmpkg import manifest as manifests
from km_protocol.kmpkg import package
from km_protocol.kmpkg.package import PayloadFile, payload_digest, payload_listing, payload_name

from km_client import paths
from km_client.plugins import plugin_files
from km_client.plugins.errors import RefusedError
from km_client.plugins.package_store import Hold, PackageStore

PLUGIN = "plugin"  # within the package's directory
_LISTING = "listing"  # beside it: what it must hold; written last


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Keep `hold` for as long as the plugin may be started. Digests in hexadecimal digits."""

    directory: Path
    sha256: str
    payload_digest: str
    hold: Hold


def unpacked_dir() -> Path:
    return paths.data_dir() / "plugins" / "unpacked"


def unpack(path: Path, *, into: Path) -> Unpacked:
    """Raises `RefusedError`, with the package's own error code where the package is at fault."""
    with _refusing(path), _opened(path) as file:
        sha256 = plugin_files.sha256_of(file)
        package.check_file_name(path.name, sha256)
        store = PackageStore(into)
        with store.locked():
            files = _found(store.place(sha256)) or _unpack(file, sha256, store)
            hold = store.hold(sha256)
            store.sweep()
    payload = payload_listing(row for row in files if row.name != manifests.FILE_NAME)
    return Unpacked(store.place(sha256) / PLUGIN, sha256, payload_digest(payload), hold)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except PackageError as error:
        raise RefusedError(error.code, f"`{path}`: {error}", error.hint or "use another package") from None
    except ManifestError as error:
        raise RefusedError("manifest_invalid", f"`{path}`: {error}", error.hint) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        message = f"`{path}` cannot be unpacked: {error.strerror or error}{where}"
        raise RefusedError("package_not_unpacked", message, "correct that and start again") from None


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    """A plain file only: opening anything else could wait for ever."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        message = f"there is no package at `{path}`"
        raise RefusedError("plugin_missing", message, "`km-client plugin build --package DIR` makes one") from None
    with open(fd, "rb") as file:  # noqa: PTH123 - an open descriptor
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise PackageError(
                "package_not_archive", "this is no plain file", "give a package, or a plugin's directory"
            )
        yield file


def _found(place: Path) -> list[PayloadFile]:
    """What was unpacked earlier; empty when that is not all there, or not as it was."""
    try:
        listing = (place / _LISTING).read_bytes()
        files = list(plugin_files.files(place / PLUGIN))
        return files if payload_listing(files) == listing else []
    except (OSError, UnicodeEncodeError):  # it is unpacked anew, and if that is impossible too, that error is told
        return []


def _unpack(file: BufferedReader, sha256: str, store: PackageStore) -> list[PayloadFile]:
    """Into the store, at once and whole."""
    opened = package.open_package(file)
    with store.making(sha256) as made:
        directory = made / PLUGIN
        directory.mkdir(mode=0o700)
        plugin_files.write(directory / manifests.FILE_NAME, opened.manifest_bytes)
        manifest = hashlib.sha256(opened.manifest_bytes).hexdigest()
        files = [PayloadFile(manifests.FILE_NAME, len(opened.manifest_bytes), manifest)]
        files += [
            plugin_files.extract(opened.archive, entry, payload_name(entry), directory) for entry in opened.payload
        ]
        if plugin_files.sha256_of(file) != sha256:
            message = "the package was changed while it was read"
            raise PackageError("package_changed", message, "start again when it is written")
        plugin_files.write(made / _LISTING, payload_listing(files))
    return files
