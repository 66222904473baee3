"""Directories that one piece of work needs for a while, and that a killed worker does not leave behind for ever.

    with scratch.room("build") as place: …      /tmp/km-build-0q7x…, locked for as long as this process is at it
    scratch.sweep()                             2: what dead processes left, removed

A room is locked with flock(2), which the kernel lets go of when its process ends, however it ends; so a room that can
be locked is nobody's, whatever its age. Programs that are started do not inherit the lock. Every new room is preceded
by a sweep, and workers sweep when they start and once a minute.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import structlog

Kind = Literal["build", "scan", "checks"]
_PREFIXES: dict[Kind, str] = {"build": "km-build-", "scan": "km-scan-", "checks": "km-checks-"}
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_log = structlog.get_logger(__name__)


@contextmanager
def room(kind: Kind, mode: int = 0o700) -> Iterator[Path]:
    """A new directory, gone afterwards. `mode`: who may look into it."""
    sweep()
    place, lock = _taken(_PREFIXES[kind])
    try:
        place.chmod(mode)
        yield place
    finally:
        _remove(place)
        os.close(lock)


def sweep() -> int:
    """Remove the rooms that no living process holds. Returns how many there were."""
    paths = [path for prefix in _PREFIXES.values() for path in Path(tempfile.gettempdir()).glob(f"{prefix}*")]
    return sum(_swept(path) for path in paths)


def _taken(prefix: str) -> tuple[Path, int]:
    """A sweep that comes upon it before it is locked takes it away; then another is made."""
    while True:
        place = Path(tempfile.mkdtemp(prefix=prefix))
        try:
            lock = os.open(place, _OPEN)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.exists():
            return place, lock
        os.close(lock)


def _swept(path: Path) -> bool:
    """Whether it was nobody's. What is no directory of this user is left alone: /tmp is everybody's."""
    try:
        lock = os.open(path, _OPEN)
    except OSError as error:  # gone meanwhile, a file, a link, or another user's
        _log.debug("scratch_not_ours", path=str(path), error=str(error))
        return False
    try:
        if os.fstat(lock).st_uid != os.geteuid():
            return False
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists():  # whose it was has just removed it
            return False
        _remove(path)
    except BlockingIOError:  # somebody is at work there
        return False
    finally:
        os.close(lock)
    _log.info("scratch_swept", path=str(path))
    return True


def _remove(path: Path) -> None:
    """Also what a program has made unwritable."""
    for parent, directories, _ in os.walk(path):
        for name in directories:
            inner = Path(parent, name)
            if not inner.is_symlink():
                inner.chmod(0o700)  # or its files cannot be unlinked
    shutil.rmtree(path)
