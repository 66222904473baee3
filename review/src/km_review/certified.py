"""What this reviewer has certified, remembered on this machine: a digest a line, beside the key.

So `km-review release` can say of a line in the catalog whether it is one of theirs, and need not ask the service.
"""

from __future__ import annotations

import os
from pathlib import Path

from km_review.errors import ReviewError


def digests(key: Path) -> frozenset[str]:
    """The payload digests that were certified with the key in this file."""
    try:
        return frozenset(_beside(key).read_text("ascii").split())
    except FileNotFoundError:
        return frozenset()
    except (OSError, UnicodeDecodeError) as error:
        raise ReviewError("memory_unreadable", f"{_beside(key)} cannot be read: {error}") from None


def remember(key: Path, digest: str) -> None:
    """Add a digest; the line is on disk when this returns."""
    try:
        with os.fdopen(os.open(_beside(key), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as file:
            file.write(f"{digest}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ReviewError(
            "memory_not_written", f"{_beside(key)}: {error.strerror}; the signature was handed in"
        ) from None


def _beside(key: Path) -> Path:
    return key.with_name(f"{key.name}.certified")
