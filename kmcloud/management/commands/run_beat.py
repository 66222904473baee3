"""`manage.py run_beat`: production's beat, as `serve --production` starts it and as a container does."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from kmcloud.parent import die_with


class Command(BaseCommand):
    help = "Send what runs by the clock to the workers. One is enough."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--parent", type=int, help="end when this process, the parent, ends")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["parent"] is not None:
            die_with(options["parent"])
        from kmcloud import beat  # noqa: PLC0415 - Celery's beat is loaded by the one command that needs it

        sys.exit(beat.run())
