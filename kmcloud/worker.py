"""A worker: Celery for the queues of its role, and beside it, as the role says, the sweeper and the beat.

    run()  → 0                    # the embedded one: every queue, sweeper, beat, in one process
    run("builds")  → 0            # one of production's; returns after SIGTERM, when the tasks under way are done

The sweeper needs no broker, so a broken one delays events by seconds and loses nothing. The embedded beat runs as a
thread: as a process of its own it would outlive a killed worker.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from contextlib import ExitStack
from types import FrameType
from typing import Any

from celery import platforms
from celery.beat import EmbeddedService, Scheduler
from celery.exceptions import WorkerShutdown

from core import shared_clock
from events.sweeper import Sweeper
from kmcloud.celery import app
from kmcloud.pulse import Pulse
from kmcloud.roles import Role, role_called
from plugins_registry import scratch

# Before a worker starts Celery has Django look at all there is, and does not look at what comes of it. Every page would
# be loaded for that; `manage.py check` and `serve` look, and say what they see.
os.environ["CELERY_SKIP_CHECKS"] = "true"

_STOPPING = (signal.SIGTERM, signal.SIGINT)


def run(name: str = "") -> int:
    """Work in the role `name` until told to stop. Returns the exit code."""
    logging.getLogger("celery").setLevel(logging.WARNING)  # what tasks do is logged by the tasks
    scratch.sweep()  # what an embedded worker that was killed left; `worker_init` is for the others
    role = role_called(name)
    sweeper = Sweeper(clock=shared_clock.now) if role.sweeps else None
    worker = _celery_worker(name, role)

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
        """Interrupt Celery's wait for messages. One it may be reading is a wake-up, and those may be lost."""
        for signal_number in _STOPPING:
            signal.signal(signal_number, signal.SIG_IGN)
        if sweeper is not None:
            sweeper.ask_to_stop()
        raise WorkerShutdown(platforms.EX_OK)

    for signal_number in _STOPPING:
        signal.signal(signal_number, stop)
    with ExitStack() as beside:
        if sweeper is not None:
            sweeper.start()
            beside.callback(sweeper.stop)
        if name == "":
            _start_beat(beside)
        elif sweeper is None:  # whose own rounds leave the heartbeat
            beside.enter_context(Pulse(name, clock=shared_clock.now))
        worker.start()
    return int(worker.exitcode or platforms.EX_OK)


def _celery_worker(name: str, role: Role) -> Any:
    return app.WorkController(
        hostname=f"{name or 'embedded'}-{os.getpid()}@{socket.gethostname()}",
        pool_cls="threads",
        concurrency=role.threads,
        queues=list(role.queues),
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )


def _start_beat(beside: ExitStack) -> None:
    beat: Any = EmbeddedService(app, thread=True, scheduler_cls=Scheduler)
    beat.start()
    beside.callback(beat.service.stop)
