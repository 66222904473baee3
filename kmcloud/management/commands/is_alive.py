"""`manage.py is_alive ROLE`: whether a process of that role left a heartbeat lately: a container's health check.

$ manage.py is_alive builds
builds: 4 s ago
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from core import shared_clock
from events.models import Heartbeat
from events.sweeper import WORKER
from kmcloud.health import WORKER_SILENT_SECONDS
from kmcloud.roles import BEAT, INGEST, WORKERS


class Command(BaseCommand):
    help = "Say when a worker or the beat last said it is alive; exit with 1 when that was too long ago."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("role", choices=(*WORKERS, BEAT))

    def handle(self, *_: Any, **options: Any) -> str:
        role = options["role"]
        name = WORKER if role == INGEST else role
        try:
            last = Heartbeat.objects.filter(name=name).values_list("at", flat=True).first()
            moment = shared_clock.now()
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(f"{role}: the database cannot be asked: {error}") from None
        if last is None:
            raise CommandError(f"{role}: has never run")
        age = (moment - last).total_seconds()
        if age > WORKER_SILENT_SECONDS:
            raise CommandError(f"{role}: silent for {age:.0f} s\nlook at its log")
        return f"{role}: {age:.0f} s ago"
