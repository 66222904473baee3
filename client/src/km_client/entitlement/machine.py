"""Which machine this is: a random id, made once, that says nothing about the machine or its user.

    machine_id(paths.machine_file()) → "9f2c61…"     32 hex digits, kept in a file that only its owner may read

The server makes the lease out to it, so that a lease copied to another machine allows nothing there. Where the id
cannot be kept it is good for this process; the next one asks the server for a lease of its own.
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
from pathlib import Path

from km_client.atomic_file import replace_file
from km_client.errors import ClientError

PRIVATE = 0o600
_ID = re.compile(r"[0-9a-f]{32}")
_log = logging.getLogger(__name__)
_lock = threading.Lock()
_not_kept: dict[Path, str] = {}


def machine_id(path: Path) -> str:
    """The id kept at `path`; a new one if there is none, or none that can be read."""
    with _lock:
        return _read(path) or _not_kept.get(path) or _make(path)


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        _log.warning("%s cannot be read: %s", path, error.strerror)
        return ""
    if _ID.fullmatch(text):
        return text
    _log.warning("%s holds no machine id; a new one is made", path)
    return ""


def _make(path: Path) -> str:
    made = secrets.token_hex(16)
    try:
        replace_file(path, f"{made}\n".encode(), mode=PRIVATE)
    except ClientError as error:
        _log.warning("this machine's id is good until the agent ends: %s", error.message)
        _not_kept[path] = made
    return made
