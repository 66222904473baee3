"""A worker: Celery with its beat and the sweeper, in one process. The embedded service has one for all queues.

    run()              → 0      # after SIGTERM, when the tasks under way are done
    run(["builds"])             # a process for builds alone, which needs no key

The sweeper needs no broker, so a broken one delays events by seconds and loses nothing. Beat runs as a thread: as a
process of its own it would outlive a killed worker. Both belong to the queue `maintenance`, and are where it is.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Any

from celery import platforms
from celery.beat import EmbeddedService, Scheduler
from celery.exceptions import WorkerShutdown

from core.clock import now
from events.sweeper import Sweeper
from events.wakeup import QUEUE
from kmcloud.celery import app
from plugins_registry import scratch
from plugins_registry.building.wakeup import BUILDS, SIGNING

THREADS = 4  # one drains, one does what beat asks for, and two may be building for minutes
MAINTENANCE = str(app.conf.task_default_queue)
QUEUES = (MAINTENANCE, QUEUE, SIGNING, BUILDS)
_STOPPING = (signal.SIGTERM, signal.SIGINT)


def run(queues: Sequence[str] = QUEUES) -> int:
    """Work until told to stop. Returns the exit code."""
    logging.getLogger("celery").setLevel(logging.WARNING)  # what tasks do is logged by the tasks
    scratch.sweep()  # what an embedded worker that was killed left; `worker_init` is for the others
    sweeper = Sweeper(clock=now)
    worker = app.WorkController(
        hostname=f"{'-'.join(queues)}-{os.getpid()}@{socket.gethostname()}",
        pool_cls="threads",
        concurrency=THREADS,
        queues=list(queues),
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
    with ExitStack() as stack:
        if MAINTENANCE in queues:
            _start_clockwork(sweeper, stack)
        worker.start()
    return int(worker.exitcode or platforms.EX_OK)


def _start_clockwork(sweeper: Sweeper, stack: ExitStack) -> None:
    """What happens by the clock, until the stack is left."""
    beat: Any = EmbeddedService(app, thread=True, scheduler_cls=Scheduler)
    sweeper.start()
    stack.callback(sweeper.stop)
    beat.start()
    stack.callback(beat.service.stop)
