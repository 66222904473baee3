"""What `/health` said before: a row whenever a check says something else, so that last night can be read today.

    note(health().checks, at=moment)        0 or more rows, whoever asks and however often
    forget(before=moment)                   those that are older than `KEPT`

Written by whoever asks for `/health`, by the console's page and by a task every minute. What happens while nobody can
write, or while no process runs, is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Max

from kmcloud.models import HealthChange

if TYPE_CHECKING:
    from kmcloud.health import Check

KEPT = timedelta(days=30)
SHOWN = 50
_DETAIL_CHARACTERS = 300


def note(checks: Mapping[str, Check], *, at: datetime) -> int:
    """Remember what changed. Returns how many did. One query when nothing has."""
    known = _newest()
    changed = {name: check for name, check in checks.items() if known.get(name) != check.status}
    if not changed:
        return 0
    with transaction.atomic():
        known = _newest()  # another process may have been first
        rows = [
            HealthChange(name=name, status=check.status, detail=check.detail[:_DETAIL_CHARACTERS], at=at)
            for name, check in changed.items()
            if known.get(name) != check.status
        ]
        HealthChange.objects.bulk_create(rows)
    return len(rows)


def latest() -> Sequence[HealthChange]:
    """The newest changes, the newest first."""
    return list(HealthChange.objects.order_by("-id")[:SHOWN])


def forget(*, before: datetime) -> int:
    """Drop what is older, but for the newest of each name, which is how it stands. Returns how many went."""
    newest = HealthChange.objects.order_by().values("name").annotate(newest=Max("pk")).values("newest")
    return (
        HealthChange.objects.filter(at__lt=before)
        .exclude(pk__in=list(newest.values_list("newest", flat=True)))
        .delete()[0]
    )


def _newest() -> dict[str, str]:
    newest = HealthChange.objects.order_by().values("name").annotate(newest=Max("pk")).values("newest")
    return dict(HealthChange.objects.filter(pk__in=newest).values_list("name", "status"))
