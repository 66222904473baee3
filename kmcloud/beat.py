"""Production's beat: sends what runs by the clock (`kmcloud.celery`) to the queues, from a process of its own.

    run()  → 0     # after SIGTERM

Its schedule is in memory: what is sent every few seconds needs no past, and what runs once a day or an hour is made to
be lost. Two beats at once send everything twice, which every task bears.
"""

from __future__ import annotations

import logging
import signal
from types import FrameType
from typing import Any

from celery.beat import Scheduler, Service

from core import shared_clock
from kmcloud.celery import app
from kmcloud.pulse import Pulse
from kmcloud.roles import BEAT


def run() -> int:
    """Send until told to stop. Returns the exit code."""
    logging.getLogger("celery").setLevel(logging.WARNING)
    service: Any = Service(app, scheduler_cls=Scheduler)

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
        raise SystemExit(0)  # out of a sleep of up to minutes, which a flag would not end

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with Pulse(BEAT, clock=shared_clock.now):
        service.start()
    return 0
