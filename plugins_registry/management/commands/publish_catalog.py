"""`manage.py publish_catalog`: sign and publish what is due now, without waiting for a worker.

With `--all` everything is signed anew, to see that every key works. With `--after-restore` every counter is raised
first, for laptops refuse a version lower than one they have seen, and a backup knows nothing of what came after it.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import F

from core.clock import now
from plugins_registry.management.ceremony_command import CeremonyCommand
from plugins_registry.models import RepositoryState
from plugins_registry.repositories import mark_everyone_dirty, release, rounds

AHEAD = 10_000  # versions: more than a busy customer's director has in a year


class Command(CeremonyCommand):
    help = "Publish the catalog and every customer's director that is due."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="also what is not due")
        parser.add_argument("--after-restore", action="store_true", help=f"raise every counter by {AHEAD:,} first")

    def run(self, options: dict[str, Any]) -> dict[str, str]:
        if options["after_restore"]:
            RepositoryState.objects.update(
                version=F("version") + AHEAD, timestamp_version=F("timestamp_version") + AHEAD
            )
        if options["all"] or options["after_restore"]:
            mark_everyone_dirty()
        waiting = release.prepare(at=now())
        done = rounds.publish_everything(at=now())
        return {
            "catalog": "published" if done.catalog else "not due",
            "directors": str(done.directors),
            "waiting_for_reviewers": str(waiting),
        }
