"""Draining until nothing is left: by a worker's task when it is told to, and by this thread every few seconds anyway.

    sweep(clock=now)                 # drain what is due, for `SWEEP_SECONDS` at most
    Sweeper(clock=now).start()       # the thread of a worker; `stop()` waits for the transaction it is in

The thread asks the log itself, not Celery's broker, so whatever a lost kick, a broken broker or a worker killed in the
middle left behind is stored within `EVERY_SECONDS`. In one process one drain runs at a time; what arrives meanwhile is
its next round.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog
from django.db import InterfaceError, OperationalError, connection

from events import logs
from events.drain import Drained, drain
from events.models import Heartbeat

EVERY_SECONDS = 2.0  # how late an event may appear when no kick arrives
SWEEP_SECONDS = 5.0  # a stop waits this long at most; what is left is the next sweep's
GATHER_SECONDS = 0.05  # let a trickle of single events become one transaction: a fifth of the work for each of them
TRICKLE_ROWS, TRICKLE_EVENTS = 100, 125  # fewer in one drain are a trickle
BEAT_SECONDS = 10.0  # one small write
WORKER = "worker"

_log = structlog.get_logger(__name__)
_draining = threading.Lock()
_wanted = threading.Event()
Clock = Callable[[], datetime]


def sweep(*, clock: Clock, stop: threading.Event | None = None) -> Drained:
    """Drain until nothing is due, the time is up, or `stop` is set. Returns at once when this process drains already:
    that drain looks again before it ends."""
    _wanted.set()
    total = Drained()
    deadline = time.monotonic() + SWEEP_SECONDS
    while _wanted.is_set() and _draining.acquire(blocking=False):
        try:
            _wanted.clear()
            total += _drain_all(clock, deadline, stop or _NEVER)
        finally:
            _draining.release()
    return total


def _drain_all(clock: Clock, deadline: float, stop: threading.Event) -> Drained:
    total = Drained()
    while time.monotonic() < deadline and not stop.is_set():
        step = drain(now=clock())
        total += step
        if step.rows == 0:
            break
        if step.rows < TRICKLE_ROWS and step.stored + step.duplicates < TRICKLE_EVENTS:
            stop.wait(GATHER_SECONDS)
    return total


_NEVER = threading.Event()


class Sweeper:
    """A worker's thread that drains every few seconds and leaves a heartbeat."""

    def __init__(self, *, clock: Clock, every_seconds: float = EVERY_SECONDS) -> None:
        self._clock = clock
        self._every_seconds = every_seconds
        self._stopping = threading.Event()
        self._beat_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Sweep now, then every `every_seconds`."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """End after the transaction under way; returns at once."""
        self._stopping.set()

    def stop(self) -> None:
        """Return once the transaction under way is committed."""
        self.ask_to_stop()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            begun = time.monotonic()
            self._round(begun)
            if time.monotonic() - begun < SWEEP_SECONDS:  # else there is more
                self._stopping.wait(self._every_seconds)
        logs.current().close()
        connection.close()

    def _round(self, moment: float) -> None:
        try:
            if moment - self._beat_at >= BEAT_SECONDS:
                beat(WORKER, now=self._clock())
                self._beat_at = moment
            sweep(clock=self._clock, stop=self._stopping)
        except (OperationalError, InterfaceError) as error:
            _log.warning("database_unreachable", error=str(error), effect="events wait in the inbox")
            connection.close()  # the next round opens a new one
        except Exception:  # noqa: BLE001 - a bug; the next round must come all the same
            _log.exception("sweep_failed")


def beat(name: str, *, now: datetime) -> None:
    """Note that `name` is alive."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": now, "pid": os.getpid()})
