"""The private directory of each start of a plugin: its socket, and the mount point of its private root.

    /run/user/1000/km-4711-x7f2k9qa/     0700; 4711 is the host's process

Removed when the plugin ended. A host that was killed could not: the next one removes what belongs to no living process.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path

_LONGEST_ROOT = 60  # of the 107 bytes a unix socket's path may have, what is beneath needs up to 45
_NAME = re.compile(r"km-(\d+)-\w+")


def root(wanted: Path | None) -> Path:
    """`wanted`, or the user's runtime directory, or the temporary one; `/tmp` where that is too long or not ours."""
    found = wanted or Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    if len(os.fsencode(found)) > _LONGEST_ROOT or not os.access(found, os.W_OK):
        return Path("/tmp")  # noqa: S108 - the directory made in it is private
    return found


def make(where: Path) -> Path:
    """A new one, with no symlink in its path."""
    return Path(tempfile.mkdtemp(prefix=f"km-{os.getpid()}-", dir=where)).resolve()


def sweep(where: Path) -> None:
    """Remove those of our own user whose host is gone."""
    with contextlib.suppress(OSError):  # a directory that vanishes while we look belongs to somebody who is alive
        for path in where.iterdir():
            owner = _NAME.fullmatch(path.name)
            is_ours = owner and path.lstat().st_uid == os.getuid() and path.is_dir() and not path.is_symlink()
            if owner and is_ours and not _is_alive(int(owner[1])):
                shutil.rmtree(path, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
