"""One process at a time changes a customer's part of the registry: two refreshes at once would undo each other.

    with alone(place.lock_file): …         raises `RegistryError` when another keeps it for too long

TUF's client writes its files one after the other and was not made for two of them (theupdateframework/python-tuf#2836).
The lock dies with its holder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from km_client import paths
from km_client.capture import lock
from km_client.registry.errors import RegistryError

WAIT_SECONDS = 90.0  # a refresh and one large download


@contextmanager
def alone(path: Path, *, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Also between threads: each opens the file itself, and the lock belongs to what it opened."""
    try:
        paths.make_private(path.parent)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}"
        raise RegistryError("registry_disk", message, "see that the data directory can be written to") from None
    try:
        if not lock.hold_within(fd, wait_seconds):
            message = f"another process has been at the plugins for {wait_seconds:g} s"
            raise RegistryError("registry_busy", message, "wait until it ends, or end it")
        yield
    finally:
        os.close(fd)
