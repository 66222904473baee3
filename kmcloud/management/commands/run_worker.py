"""`manage.py run_worker`: the embedded worker alone, as `serve` starts it."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from kmcloud.parent import die_with


class Command(BaseCommand):
    help = "Run tasks, the beat and the sweeper. `serve` runs this beside the web server."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--parent", type=int, help="end when this process, the parent, ends")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["parent"] is not None:
            die_with(options["parent"])
        from kmcloud import worker  # noqa: PLC0415 - Celery's worker is loaded by the one command that needs it

        sys.exit(worker.run())
