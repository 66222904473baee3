"""Locks that die with their holder: a process killed at any moment releases them, so a lock says who is alive.

    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    if hold(fd): …                 # until the file is closed or the process ends, however it ends
    if hold_within(fd, 5.0): …     # the same, after some waiting for another's end
    is_held(path)                  # asked by others; changes nothing

POSIX: `flock`. Windows: one byte far beyond the file's end, because locked bytes cannot be read there (untested).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

_TRY_AGAIN_SECONDS = 0.01

if sys.platform == "win32":
    import msvcrt

    LOCKED_BYTE = 2**30

    def _take(fd: int, *, shared: bool) -> None:  # noqa: ARG001 - there are no shared locks here
        position = os.lseek(fd, 0, os.SEEK_CUR)
        os.lseek(fd, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(fd, position, os.SEEK_SET)

else:
    import fcntl

    def _take(fd: int, *, shared: bool) -> None:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def hold(fd: int) -> bool:
    """Take the lock and keep it while `fd` is open; `False` if another process has it."""
    return _taken(fd, shared=False)


def hold_within(fd: int, seconds: float) -> bool:
    """`hold`, tried again for `seconds` while another process has it."""
    deadline = time.monotonic() + seconds
    while not hold(fd):
        if time.monotonic() > deadline:
            return False
        time.sleep(_TRY_AGAIN_SECONDS)
    return True


def share(fd: int) -> bool:
    """Take the lock together with others who share it, and keep it while `fd` is open."""
    return _taken(fd, shared=True)


def is_used(path: Path) -> bool:
    """Whether a living process holds the lock on `path`, alone or shared. Asking takes it alone for a moment."""
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _taken(fd, shared=False)
    finally:
        os.close(fd)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock on `path`; `False` when there is no such file.

    Asking takes a shared lock for a moment: askers do not see each other, but a holder-to-be may meet one and must then
    try again. The relay need not: it locks its file before it gives it the name that others look under.
    """
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _taken(fd, shared=True)
    finally:
        os.close(fd)


def _taken(fd: int, *, shared: bool) -> bool:
    try:
        _take(fd, shared=shared)
    except (BlockingIOError, PermissionError):  # what POSIX and Windows answer when another process has it
        return False
    return True
