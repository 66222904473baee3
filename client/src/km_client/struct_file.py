"""A struct in a JSON file of this user's: replaced whole, and read by programs that cope without it.

struct_file.write(path, msgspec.json.encode(state)) → True;  struct_file.read(path, AgentState) → AgentState(…)
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TypeVar

import msgspec

from km_client.atomic_file import replace_file
from km_client.errors import ClientError

T = TypeVar("T")


def write(path: Path, encoded: bytes) -> bool:
    """Whether it could be written; on a full disk the old one stays."""
    with contextlib.suppress(ClientError):
        replace_file(path, encoded, mode=0o600)
        return True
    return False


def read(path: Path, kind: type[T]) -> T | None:
    """What was written last; `None` if there is nothing that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
