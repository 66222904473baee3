"""`manage.py run_worker`: one worker, as `serve` starts it and as a container does."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from kmcloud.parent import die_with
from kmcloud.roles import WORKERS


class Command(BaseCommand):
    help = "Run tasks: of every queue, with the beat and the sweeper; or of one role's in production."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        roles = f"{', '.join(WORKERS)} (default: KM_ROLE, else everything)"
        parser.add_argument("--role", choices=WORKERS, default=settings.ROLE, metavar="ROLE", help=f"one of {roles}")
        parser.add_argument("--parent", type=int, help="end when this process, the parent, ends")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["parent"] is not None:
            die_with(options["parent"])
        from kmcloud import worker  # noqa: PLC0415 - Celery's worker is loaded by the one command that needs it

        sys.exit(worker.run(options["role"]))
