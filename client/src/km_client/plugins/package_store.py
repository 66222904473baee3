"""Where packages lie unpacked: a directory for each, named by the SHA-256 of the package.

    …/unpacked/.lock                one process at a time unpacks, looks something up or clears away
    …/unpacked/3f9a0c…/plugin/      the plugin; the directory got its name when everything was in it
    …/unpacked/3f9a0c….lock         shared by everybody who may start that plugin
    …/unpacked/.making-k2x9/        what a process that was killed left behind; the next one removes it

The locks are the kernel's (flock), so those of a killed process are gone. Of what nobody holds, the `KEPT` used last
stay. On Windows, where no plugin is started yet, nothing is locked.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from km_client import paths

KEPT = 20  # about 200 MB of Go plugins
WAIT_SECONDS = 10.0  # the largest package takes 3; who holds the lock for longer is stopped, and must not stop us
_POLL_SECONDS = 0.01
_MAKING = ".making-"

if sys.platform == "win32":

    def _lock(fd: int, *, shared: bool) -> bool:  # noqa: ARG001 - see above
        return True

else:
    import fcntl

    def _lock(fd: int, *, shared: bool) -> bool:
        """Until `fd` is closed; `False` when another has it."""
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Hold:
    """Keeps one unpacked package from being removed, until it is released or nothing refers to it any more."""

    def __init__(self, fd: int) -> None:
        self.release = weakref.finalize(self, os.close, fd)


class PackageStore:
    """`root` is made when it is missing, for this user alone. All but `locked` and `place` need it to be locked."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Raises `TimeoutError` when another process keeps it for `WAIT_SECONDS`."""
        paths.make_private(self._root)
        fd = _open(self._root / ".lock")
        try:
            _wait_for(fd)
            yield
        finally:
            os.close(fd)

    def place(self, sha256: str) -> Path:
        return self._root / sha256

    @contextmanager
    def making(self, sha256: str) -> Iterator[Path]:
        """A new directory, which takes its place when the block ends well and is removed when it does not."""
        made = Path(tempfile.mkdtemp(prefix=_MAKING, dir=self._root))
        try:
            yield made
            self._remove(self.place(sha256))
            made.rename(self.place(sha256))
        except BaseException:
            _delete(made)
            raise

    def hold(self, sha256: str) -> Hold:
        """Also notes that it was used now."""
        fd = _open(self._lock_of(sha256))
        _lock(fd, shared=True)  # nobody has it alone while the store is locked
        os.utime(self.place(sha256))
        return Hold(fd)

    def sweep(self) -> None:
        """Remove what was left half made, and what nobody has used for long."""
        entries = [entry for entry in self._root.iterdir() if entry.is_dir()]
        for entry in entries:
            if entry.name.startswith("."):
                _delete(entry)
        places = [entry for entry in entries if not entry.name.startswith(".")]
        places.sort(key=lambda place: place.stat().st_mtime_ns, reverse=True)
        for place in places[KEPT:]:
            self._remove_unused(place)

    def _remove_unused(self, place: Path) -> None:
        fd = _open(self._lock_of(place.name))
        try:
            if _lock(fd, shared=False):
                self._remove(place)
                self._lock_of(place.name).unlink()
        finally:
            os.close(fd)

    def _remove(self, place: Path) -> None:
        """Under another name first, so that it is never half there."""
        if place.exists():
            away = Path(tempfile.mkdtemp(prefix=_MAKING, dir=self._root))
            place.rename(away / place.name)
            _delete(away)

    def _lock_of(self, sha256: str) -> Path:
        return self._root / f"{sha256}.lock"


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)


def _wait_for(fd: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not _lock(fd, shared=False):
        if time.monotonic() > deadline:
            raise TimeoutError(f"another process has been unpacking for {WAIT_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)


def _delete(directory: Path) -> None:
    """What cannot be removed now is tried again at the next sweep."""
    shutil.rmtree(directory, ignore_errors=True)
