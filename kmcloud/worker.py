"""The worker of the embedded service: Celery, its beat and the sweeper, in one process.

    run()  → 0      # after SIGTERM, when the tasks under way are done

The sweeper needs no broker, so a broken one delays events by seconds and loses nothing. Beat runs as a thread: as a
process of its own it would outlive a killed worker.
"""

from __future__ import annotations

import logging
import signal
from types import FrameType
from typing import Any

from celery import platforms
from celery.beat import EmbeddedService, Scheduler
from celery.exceptions import WorkerShutdown

from core.clock import now
from events.sweeper import Sweeper
from events.wakeup import QUEUE
from kmcloud.celery import app
from plugins_registry.building.wakeup import BUILDS, SIGNING

THREADS = 4  # one drains, one does what beat asks for, and two may be building for minutes
NAME = "embedded@localhost"
_STOPPING = (signal.SIGTERM, signal.SIGINT)


def run() -> int:
    """Work until told to stop. Returns the exit code."""
    logging.getLogger("celery").setLevel(logging.WARNING)  # what tasks do is logged by the tasks
    sweeper = Sweeper(clock=now)
    beat: Any = EmbeddedService(app, thread=True, scheduler_cls=Scheduler)
    worker = app.WorkController(
        hostname=NAME,
        pool_cls="threads",
        concurrency=THREADS,
        queues=[app.conf.task_default_queue, QUEUE, SIGNING, BUILDS],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
        """Interrupt Celery's wait for messages. One it may be reading is a wake-up, and those may be lost."""
        for signal_number in _STOPPING:
            signal.signal(signal_number, signal.SIG_IGN)
        sweeper.ask_to_stop()
        raise WorkerShutdown(platforms.EX_OK)

    for signal_number in _STOPPING:
        signal.signal(signal_number, stop)
    sweeper.start()
    beat.start()
    try:
        worker.start()
    finally:
        beat.service.stop()
        sweeper.stop()
    return int(worker.exitcode or platforms.EX_OK)
