"""`manage.py run_web`: the web server alone, as `serve` starts it and as a container does."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from kmcloud.parent import die_with


class Command(BaseCommand):
    help = "Serve HTTP. `serve` runs this beside a worker."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8318)
        parser.add_argument("--parent", type=int, help="end when this process, the parent, ends")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["parent"] is not None:
            die_with(options["parent"])
        from kmcloud import web  # noqa: PLC0415 - granian is loaded by the one command that needs it

        web.serve(options["host"], options["port"], processes=settings.WEB_PROCESSES)
