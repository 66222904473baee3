"""`manage.py drain_inbox`: store what waits in the inbox, without a worker or a broker."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from core.clock import now
from events import sweeper
from events.drain import Drained


class Command(BaseCommand):
    help = "Drain the inbox until nothing is due."

    def handle(self, *_: Any, **__: Any) -> str:
        total = Drained()
        while (step := sweeper.sweep(clock=now)).rows:
            total += step
        return f"stored {total.stored} events of {total.rows} requests, {total.duplicates} were there already"
