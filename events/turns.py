"""Taking turns at SQLite's one write lock, in the order of arrival.

    with turn(), transaction.atomic():
        ...

SQLite itself waits by trying again after growing pauses of up to 100 ms, so of two processes that write all the time
the one that waits almost never gets in: requests would stand behind a busy drain for seconds. Here whoever waits for
the lock keeps the queue's lock meanwhile, so the process that had the turn cannot take the next one before it.

A matter of fairness only: SQLite's own lock decides, and a turn that does not come within `PATIENCE_SECONDS` (a holder
that was stopped) is not waited for. On PostgreSQL, whose writers do not exclude each other, there is nothing to do.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from django.db import connection

LOOK_EVERY_SECONDS = 0.0005
PATIENCE_SECONDS = 5.0


@contextmanager
def turn() -> Iterator[None]:
    """Hold this machine's turn to write to the database."""
    path = _path()
    if path is None:
        yield
        return
    with ExitStack() as held:
        deadline = time.monotonic() + PATIENCE_SECONDS
        with _lock(f"{path}-queue", deadline):
            held.enter_context(_lock(f"{path}-turn", deadline))
        yield


def _path() -> str | None:
    """The database's file; `None` when there is none to share."""
    name = str(connection.settings_dict["NAME"])
    return name if connection.vendor == "sqlite" and not name.startswith("file:") and name != ":memory:" else None


@contextmanager
def _lock(path: str, deadline: float) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _is_taken(descriptor) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
