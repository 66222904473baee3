"""Builds of plugins that were verified and unpacked here, and the check that each still is what was verified.

    plugins/slow-tools/1.2.0-3f9a0c41d2e8/plugin/        what runs; the directory got its name when it was complete
    plugins/slow-tools/1.2.0-3f9a0c41d2e8/record.json    what was verified, with the digest of every file's digest
    plugins/slow-tools/1.2.0-3f9a0c41d2e8.lock           shared by every agent that may start it

`check` is made before every start. What is missing, added or changed by one byte does not start.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from datetime import datetime
from pathlib import Path

import msgspec
from km_protocol.kmpkg import manifest as manifests
from km_protocol.kmpkg.archive_reader import ArchiveReader
from km_protocol.kmpkg.package import OVERLAY, PAYLOAD, payload_digest, payload_listing
from km_protocol.kmpkg.verify import VerifiedPackage

from km_client import paths
from km_client.capture import lock
from km_client.plugins import plugin_files
from km_client.plugins.errors import RefusedError
from km_client.plugins.package_store import Hold
from km_client.registry.errors import RegistryError

RECORD = "record.json"
PLUGIN = "plugin"
_MAKING = ".making-"
_HASH_DIGITS = 12
_AGAIN = "`km-client plugins refresh` fetches it again"


class Build(msgspec.Struct, frozen=True):
    """What was verified. `sha256` is the package's, `files_digest` that of the listing of what was unpacked."""

    name: str
    version: str
    platform: str
    sha256: str
    payload_digest: str
    build_id: str
    customer_id: str
    reviewers: tuple[str, ...]
    expires_at: datetime
    installed_at: datetime
    files_digest: str
    is_private: bool = False

    @property
    def directory_name(self) -> str:
        return directory_name(self.version, self.sha256)


def directory_name(version: str, sha256: str) -> str:
    return f"{version}-{sha256[:_HASH_DIGITS]}"


def read(directory: Path) -> Build | None:
    """The record of what lies in `directory`; `None` where there is none that can be read."""
    try:
        return msgspec.json.decode((directory / RECORD).read_bytes(), type=Build)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def unpack(package: Path, verified: VerifiedPackage, plugin: Path, *, now: datetime, is_private: bool) -> Build:
    """Into the plugin's directory, at once and whole, file by file as it was verified. Raises `RegistryError`."""
    directory = plugin / directory_name(verified.statement.version, verified.sha256)
    made = plugin / f"{_MAKING}{os.getpid()}-{directory.name}"
    try:
        paths.make_private(plugin)
        shutil.rmtree(made, ignore_errors=True)
        (made / PLUGIN).mkdir(mode=0o700, parents=True)
        made.chmod(0o700)
        build = _record(verified, _write(package, verified, made / PLUGIN), now, is_private)
        plugin_files.write(made / RECORD, msgspec.json.encode(build))
        delete(directory)
        made.rename(directory)
    except OSError as error:
        message = f"`{package.name}` cannot be unpacked: {error.strerror or error}"
        raise RegistryError("registry_disk", message, "make room, and see that the data directory is yours") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return build


def _write(package: Path, verified: VerifiedPackage, into: Path) -> str:
    """The files of `package`; the digest of what was written, which is what was verified or nothing."""
    wanted = {file.name: file.sha256 for file in verified.files}
    plugin_files.write(into / manifests.FILE_NAME, verified.manifest_bytes)
    with package.open("rb") as file:
        archive = ArchiveReader(file)
        for entry in archive.entries:
            if entry.name.startswith((PAYLOAD, OVERLAY)):
                written = plugin_files.extract(archive, entry, entry.name.removeprefix(PAYLOAD), into)
                if wanted.get(entry.name) != written.sha256:
                    message = f"`{package.name}` was changed while it was installed"
                    raise RegistryError("registry_tampered", message, "install it again")
    return _digest(into)


def _digest(directory: Path) -> str:
    return payload_digest(payload_listing(plugin_files.files(directory)))


def _record(verified: VerifiedPackage, files_digest: str, now: datetime, is_private: bool) -> Build:
    statement = verified.statement
    return Build(
        name=statement.name,
        version=statement.version,
        platform=statement.platform,
        sha256=verified.sha256,
        payload_digest=verified.payload_digest,
        build_id=statement.build_id,
        customer_id=statement.customer_id,
        reviewers=verified.reviewers,
        expires_at=datetime.fromisoformat(statement.expires_at),
        installed_at=now,
        files_digest=files_digest,
        is_private=is_private,
    )


def check(directory: Path, build: Build, *, now: datetime) -> None:
    """Raises `RefusedError` unless every file is there, none is added, and each is what was verified."""
    if not is_whole(directory, build):
        message = f"{build.name} {build.version} is not what was installed: its files in {directory} were changed"
        raise RefusedError("plugin_tampered", message, _AGAIN)
    if now >= build.expires_at:
        message = f"{build.name} {build.version} expired on {build.expires_at:%Y-%m-%d}"
        raise RefusedError("package_expired", message, _AGAIN)


def is_whole(directory: Path, build: Build) -> bool:
    """Whether everything is as it was verified. How old it is is another matter."""
    try:
        return _digest(directory / PLUGIN) == build.files_digest and read(directory) == build
    except (OSError, UnicodeEncodeError):  # gone, or with a name that no package has
        return False


def hold(directory: Path) -> Hold:
    """Keeps the build from being removed while what this gives is referred to."""
    fd = os.open(_lock_of(directory), os.O_RDWR | os.O_CREAT, 0o600)
    lock.share(fd)
    return Hold(fd)


def delete(directory: Path) -> None:
    """Under another name first, so that it is never half there. Raises `OSError`."""
    if directory.exists():
        away = directory.with_name(f"{_MAKING}{os.getpid()}-old-{directory.name}")
        shutil.rmtree(away, ignore_errors=True)
        directory.rename(away)
        shutil.rmtree(away, ignore_errors=True)


def sweep(plugin: Path, keep: frozenset[str]) -> None:
    """Remove the builds that are neither kept nor held, and what a killed process left half made."""
    for found in sorted(plugin.iterdir()):
        if found.name.startswith(_MAKING):
            shutil.rmtree(found, ignore_errors=True)
        elif found.is_dir() and found.name not in keep and not lock.is_used(_lock_of(found)):
            delete(found)
            with contextlib.suppress(FileNotFoundError):  # nobody ever held it
                _lock_of(found).unlink()


def _lock_of(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.lock")
