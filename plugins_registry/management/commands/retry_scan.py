"""`manage.py retry_scan rev_… …`: run the failed checks of these submissions again, once the cause is gone.

A scan whose tools failed four times waits for this; what came to a result then is not run again.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.clock import now
from core.errors import ApiError
from plugins_registry import scanning
from plugins_registry.lifecycle import State
from plugins_registry.models import Revision

ACTOR = "operator:console"


class Command(BaseCommand):
    help = "Run the failed checks of a submission again. Without a name: list the submissions that wait for it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("revisions", nargs="*", metavar="REVISION", help="rev_…")

    def handle(self, *_: Any, revisions: list[str], **__: Any) -> None:
        for public_id in revisions:
            self.stdout.write(f"{_retried(public_id)}: its failed checks run again")
        if not revisions:
            self._list()

    def _list(self) -> None:
        for revision in Revision.objects.filter(state=State.SCAN_ERROR).select_related("version__plugin"):
            failed = revision.check_runs.filter(state="error").values_list("check_name", "detail")
            causes = "; ".join(f"{name}: {detail}" for name, detail in failed)
            self.stdout.write(f"{revision.public_id} {revision}: {causes}")


def _retried(public_id: str) -> Revision:
    try:
        revision = Revision.objects.select_related("version__plugin").get(public_id=public_id)
        scanning.retry(revision.pk, actor=ACTOR, at=now())
    except Revision.DoesNotExist:
        raise CommandError(
            f"there is no submission `{public_id}`; `manage.py retry_scan` lists those that wait"
        ) from None
    except ApiError as error:
        raise CommandError(f"{error.message}: {error.hint}") from None
    return revision
