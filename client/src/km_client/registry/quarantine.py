"""Packages that failed verification: kept aside with the reason, never unpacked, for whoever wants to look at them.

    quarantine/slow-tools-3f9a0c41d2e8/package         the bytes that came, under a name that is no package's
    quarantine/slow-tools-3f9a0c41d2e8/reason.json     {"name": "slow-tools", "code": "registry_tampered", …}

The newest five are kept, and none that would have more bytes than a package may.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from km_client import paths
from km_client.atomic_file import replace_file
from km_client.registry.place import PRIVATE, Place

KEPT = 5
PACKAGE, REASON = "package", "reason.json"


class Quarantined(msgspec.Struct, frozen=True):
    """Why a package was not installed."""

    name: str
    version: str
    sha256: str  # what it should have had
    code: str
    message: str
    at: datetime


def put(place: Place, package: Path, reason: Quarantined) -> Path:
    """Move `package` there. Raises `OSError`."""
    directory = place.quarantine / f"{reason.name}-{reason.sha256[:12]}"
    shutil.rmtree(directory, ignore_errors=True)
    paths.make_private(directory)
    package.replace(directory / PACKAGE)
    replace_file(directory / REASON, msgspec.json.encode(reason), mode=PRIVATE)
    for old in _newest_first(place)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return directory


def listed(place: Place) -> list[Quarantined]:
    """The newest first."""
    return list(_reasons(place))


def clear(place: Place, name: str) -> None:
    """What was kept of a plugin that is installed now, or removed."""
    for directory in _newest_first(place):
        if directory.name.rpartition("-")[0] == name:
            shutil.rmtree(directory, ignore_errors=True)


def _reasons(place: Place) -> Iterator[Quarantined]:
    for directory in _newest_first(place):
        with contextlib.suppress(OSError, msgspec.DecodeError):  # half written by a process that was killed
            yield msgspec.json.decode((directory / REASON).read_bytes(), type=Quarantined)


def _newest_first(place: Place) -> list[Path]:
    if not place.quarantine.is_dir():
        return []
    return sorted(place.quarantine.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
