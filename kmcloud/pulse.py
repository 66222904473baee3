"""A thread that says every few seconds that its process is alive: one row of `Heartbeat` for each role.

    with Pulse("builds", clock=now):
        ...

`manage.py is_alive builds` reads it: the health check of a container in which nothing listens at a port. A database
that is away stops no worker; the row then grows old, which is what a health check should say.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import structlog
from django.db import DatabaseError, InterfaceError, connection

from events.sweeper import BEAT_SECONDS, Clock, beat

_log = structlog.get_logger(__name__)


class Pulse:
    """Beats as `name` from `__enter__` to `__exit__`."""

    def __init__(self, name: str, *, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                beat(self._name, now=self._clock())
            except (DatabaseError, InterfaceError) as error:
                _log.warning("database_unreachable", error=str(error), effect="this process looks dead meanwhile")
                connection.close()  # the next beat opens a new one
            self._stopping.wait(BEAT_SECONDS)
        connection.close()
