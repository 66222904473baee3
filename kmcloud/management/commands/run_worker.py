"""`manage.py run_worker`: the worker alone, as `serve` starts it, or one for some of the queues.

    $ manage.py run_worker --queues builds

In production builds of authors' sources and the registry's keys are in processes of their own: docs/plugins/builds.md.
"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from kmcloud.parent import die_with


class Command(BaseCommand):
    help = "Run tasks, the beat and the sweeper. `serve` runs this beside the web server."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queues", default="", help="only these: maintenance,drain,signing,builds")
        parser.add_argument("--parent", type=int, help="end when this process, the parent, ends")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["parent"] is not None:
            die_with(options["parent"])
        from kmcloud import worker  # noqa: PLC0415 - Celery's worker is loaded by the one command that needs it

        queues = options["queues"].split(",") if options["queues"] else worker.QUEUES
        unknown = [name for name in queues if name not in worker.QUEUES]
        if unknown:
            raise CommandError(f"there is no queue {', '.join(unknown)!r}\nthere are {', '.join(worker.QUEUES)}")
        sys.exit(worker.run(queues))
