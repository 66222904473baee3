"""`manage.py publish_catalog`: sign and publish what is due now, without waiting for a worker.

With `--all` everything is signed anew: for after a database was restored from a backup, or to see that every key works.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from core.clock import now
from plugins_registry.management.ceremony_command import CeremonyCommand
from plugins_registry.repositories import mark_everyone_dirty, release, rounds


class Command(CeremonyCommand):
    help = "Publish the catalog and every customer's director that is due."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="also what is not due")

    def run(self, options: dict[str, Any]) -> dict[str, str]:
        if options["all"]:
            mark_everyone_dirty()
        waiting = release.prepare(at=now())
        done = rounds.publish_everything(at=now())
        return {
            "catalog": "published" if done.catalog else "not due",
            "directors": str(done.directors),
            "waiting_for_reviewers": str(waiting),
        }
