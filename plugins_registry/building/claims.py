"""One worker at a time on one build, and none for ever: a claim in the row, which ends by itself.

    claim = take(CustomerBuild, pk, until=moment + timedelta(minutes=2), at=moment)     None: somebody else is at it
    claim.renew(until=later)                                                            False: it ended, another has it
    claim.finish(state=BuildState.BUILT, …)                                             False: the same

A claim is one `UPDATE … WHERE`, so two workers cannot both have it, and it writes only while it is held.
A worker that dies leaves a claim that ends; `registry.resume_builds` then has the build done by another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from plugins_registry.models import BuildState, CustomerBuild, PayloadBuild

UNFINISHED = (BuildState.QUEUED, BuildState.BUILDING)
Model = type[PayloadBuild] | type[CustomerBuild]


@dataclass(slots=True)
class Claim:
    """The right to work on a build until a moment, by which its row knows whose it is."""

    model: Model
    pk: int
    until: datetime

    def renew(self, *, until: datetime) -> bool:
        """Hold it for longer. False when it is no longer held."""
        held = bool(self._row().update(claimed_until=until))
        if held:
            self.until = until
        return held

    def finish(self, **columns: Any) -> bool:
        """Write `columns` and give the claim up. False, and nothing written, when it is no longer held."""
        return bool(self._row().update(claimed_until=None, **columns))

    def _row(self) -> QuerySet[PayloadBuild] | QuerySet[CustomerBuild]:
        return self.model.objects.filter(pk=self.pk, claimed_until=self.until, state=BuildState.BUILDING)


def take(model: Model, pk: int, *, until: datetime, at: datetime) -> Claim | None:
    """Claim the build and call it `building`, unless it is finished or somebody else's."""
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=at)
    rows = model.objects.filter(free, pk=pk, state__in=UNFINISHED)
    return Claim(model, pk, until) if rows.update(state=BuildState.BUILDING, claimed_until=until) else None
