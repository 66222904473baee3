"""`manage.py drain_inbox`: store what waits in the inbox and in the event log, without a worker or a broker.

Before a log is given up for another: stop what appends to it, and drain it with its own setting once more.

    KM_EVENT_LOG=rabbitmq python manage.py drain_inbox
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core import shared_clock
from events import logs, sweeper
from events.drain import Drained


class Command(BaseCommand):
    help = "Drain the inbox and the event log until nothing is due; fails when something is left in the log."

    def handle(self, *_: Any, **__: Any) -> str:
        total = Drained()
        while (step := sweeper.sweep(clock=shared_clock.now)).rows:
            total += step
        left = logs.current().waiting()
        logs.current().close()
        if left is None:
            raise CommandError("the event log does not answer: what is in it stays there; check `KM_EVENT_LOG_URL`")
        if left:
            raise CommandError(f"{left} requests are still in the event log: something appends to it")
        return f"stored {total.stored} events of {total.rows} requests, {total.duplicates} were there already"
