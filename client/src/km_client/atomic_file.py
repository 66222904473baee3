"""Files that are replaced at once and whole: a reader sees the old content or the new, never half of one."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from km_client import paths
from km_client.errors import ClientError


def replace_file(path: Path, content: bytes, *, mode: int) -> None:
    """Replace `path` at once and whole, in a directory that only its owner may look into."""
    try:
        paths.make_private(path.parent)
        fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> ClientError:
    fix = "correct the permissions, or set KM_CONFIG_DIR and KM_DATA_DIR"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        fix = "make room there, and try again: nothing was changed"
    return ClientError("unwritable", f"{path} cannot be written: {error.strerror}", fix)
