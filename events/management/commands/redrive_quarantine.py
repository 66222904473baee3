"""`manage.py redrive_quarantine 3 4` or `--all`: put back what could not be stored, once its cause is fixed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core import shared_clock
from events import quarantine
from events.models import QuarantinedEntry


class Command(BaseCommand):
    help = "Move quarantined requests back into the inbox."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="*", type=int, help="numbers as the admin console shows them")
        parser.add_argument("--all", action="store_true", help="everything in quarantine")

    def handle(self, *_: Any, **options: Any) -> str:
        if bool(options["ids"]) == options["all"]:
            raise CommandError("give the numbers to put back, or `--all`")
        ids = options["ids"] or QuarantinedEntry.objects.values_list("pk", flat=True)
        count = quarantine.redrive(ids, now=shared_clock.now())
        return f"{count} put back; a worker stores them within seconds"
