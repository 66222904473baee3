"""Tells a worker that something waits in the inbox. A hint, never data: a lost one delays by a sweep, no more.

    drain_soon()      # about a microsecond, from any thread, whatever state the broker is in

The broker is talked to by one thread of its own, so a request neither waits for it nor fails with it. Hints are
coalesced twice: at most one every `PAUSE_SECONDS`, and none while an earlier one still lies in the queue.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import celery
import structlog
from amqp.exceptions import ChannelError

DRAIN = "events.drain"
QUEUE = "ingest"  # of its own, so that "is there one waiting?" is the queue's length
EXPIRES_SECONDS = 60  # by then the sweeper has been by many times
PAUSE_SECONDS = 0.2  # longer than a publish takes, shorter than a person's "live"
COMPLAIN_EVERY_SECONDS = 60.0  # a broker that is down for an hour is worth sixty lines of log, not thousands

_log = structlog.get_logger(__name__)


class Doorbell:
    """Calls `ring` soon after `press`, from its own thread; presses in between are one."""

    def __init__(self, ring: Callable[[], None], *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._ring = ring
        self._pause_seconds = pause_seconds
        self._pressed = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._complained_at = float("-inf")

    def press(self) -> None:
        """Return at once; `ring` is called within the pause."""
        self._pressed.set()
        if self._thread is None:
            with self._starting:
                if self._thread is None:  # the first press of this process: a thread does not survive a fork
                    self._thread = threading.Thread(target=self._answer, name="doorbell", daemon=True)
                    self._thread.start()

    def _answer(self) -> None:
        while self._pressed.wait():
            self._pressed.clear()
            try:
                self._ring()
            except Exception as error:  # noqa: BLE001 - whatever the broker's library raises, the sweeper will drain
                self._complain(error)
            time.sleep(self._pause_seconds)

    def _complain(self, error: Exception) -> None:
        if time.monotonic() - self._complained_at >= COMPLAIN_EVERY_SECONDS:
            self._complained_at = time.monotonic()
            _log.warning("broker_unreachable", error=str(error), effect="events are stored some seconds later")


def send_drain() -> None:
    """Queue one drain, unless one is queued already. Raises whatever the broker's library raises."""
    app = celery.current_app
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=0)  # the default is to try for ever, in silence
        if not _queued(connection.default_channel):
            app.send_task(DRAIN, queue=QUEUE, connection=connection, expires=EXPIRES_SECONDS, retry=False)


def _queued(channel: Any) -> int:
    """How many drains nobody has taken up yet."""
    with contextlib.suppress(ChannelError):  # no such queue: nothing was ever sent to it
        return int(channel.queue_declare(queue=QUEUE, passive=True).message_count)
    return 0


_doorbell = Doorbell(send_drain)


def drain_soon() -> None:
    """Have a worker drain the inbox within a moment, if a broker and a worker can be reached."""
    _doorbell.press()
