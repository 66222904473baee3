"""One file of another program's: read, and replaced at once, whole, and only while it is what was read.

A link is followed and stays a link; owner and mode stay, and on Linux extended attributes, such as an access list. The
new content is on the disk before it takes the old one's place; a second name of the file, a hard link, keeps the old.
Between the last look and the rename no other program can be kept out: that is a few microseconds.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from km_client.errors import ClientError

UNFINISHED = ".km"  # how the new file's name ends until it takes the old one's place
LARGEST_BYTES = 64 * 1024 * 1024  # a hundred times what any of these programs was seen to write


class ChangedMeanwhile(Exception):
    """Another program wrote the file after it was read."""


class Snapshot(NamedTuple):
    """A file as it was read: `path` is the file itself, where a link leads."""

    path: Path
    data: bytes
    status: os.stat_result


def read(path: Path) -> Snapshot | None:
    """The file at `path`; `None` if there is none. Raises `ClientError`."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error.strerror) from None
    try:
        real = path.resolve(strict=True)
        status = real.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ClientError("config_not_a_file", f"{path} is not a file", "nothing was changed there")
        if status.st_size > LARGEST_BYTES:
            raise ClientError(
                "config_too_large", f"{path} is larger than {LARGEST_BYTES} bytes", "is it the right file?"
            )
        return Snapshot(real, real.read_bytes(), status)
    except FileNotFoundError:
        target = path.readlink() if path.is_symlink() else path
        hint = "make the file it leads to, or remove the link"
        raise ClientError("config_link", f"{path} is a link to {target}, where nothing is", hint) from None
    except (OSError, RuntimeError) as error:  # Python 3.11 and 3.12 say `RuntimeError` of links in a circle
        why = error.strerror if isinstance(error, OSError) else "its links lead in a circle"
        raise _unreadable(path, why) from None


def check_writable(snapshot: Snapshot) -> None:
    """Raises `ClientError` where the file's own mode says that it is not to be changed."""
    path = snapshot.path
    if not snapshot.status.st_mode & 0o222 or not os.access(path, os.W_OK):
        hint = "make it writable (`chmod u+w`), and try again: nothing was changed"
        raise ClientError("config_read_only", f"{path} is read-only", hint)


def replace(snapshot: Snapshot, data: bytes) -> None:
    """Put `data` in the file's place. Raises `ChangedMeanwhile`, and `ClientError` where that is not allowed."""
    check_writable(snapshot)
    path = snapshot.path
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=UNFINISHED)
    except OSError as error:
        raise _unwritable(path, error) from None
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            _keep_owner_and_mode(file.fileno(), temporary, snapshot)
            file.flush()
            os.fsync(file.fileno())
        if path.read_bytes() != snapshot.data:
            raise ChangedMeanwhile
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _keep_owner_and_mode(descriptor: int, temporary: Path, snapshot: Snapshot) -> None:
    status = snapshot.status
    if sys.platform != "win32":
        made = os.fstat(descriptor)
        if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
            try:
                os.fchown(descriptor, status.st_uid, status.st_gid)
            except PermissionError:
                hint = "do this as the user whose file it is: nothing was changed"
                raise ClientError("config_owner", f"{snapshot.path} belongs to another user", hint) from None
    temporary.chmod(stat.S_IMODE(status.st_mode))
    if sys.platform == "linux":
        _keep_attributes(descriptor, snapshot.path)


def _keep_attributes(descriptor: int, path: Path) -> None:
    """What this user may set of them: a label of the system's own is given to the new file by the system."""
    with contextlib.suppress(OSError):  # a file system without any
        for name in os.listxattr(path):
            with contextlib.suppress(OSError):
                os.setxattr(descriptor, name, os.getxattr(path, name))


def _sync_directory(directory: Path) -> None:
    """Have the rename itself on the disk; Windows does that by itself.

    It is done by now: where this cannot be had, as in a directory that nobody may list, only a power cut undoes it.
    """
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            descriptor = os.open(directory, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _unreadable(path: Path, why: str | None) -> ClientError:
    return ClientError("config_unreadable", f"{path} cannot be read: {why}", "see where it leads, and who may")


def _unwritable(path: Path, error: OSError) -> ClientError:
    hint = "see who may write in that directory, and that the disk has room: nothing was changed"
    return ClientError("config_unwritable", f"{path} cannot be replaced: {error.strerror}", hint)
