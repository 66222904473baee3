"""Deleting what nobody looks at any more: messages and their log after 30 days, incidents a year after their end.

forget(now=moment)   → Forgotten(deliveries=1200, incidents=3)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet

from alerts.models import Delivery, Incident

DELIVERIES_KEPT, INCIDENTS_KEPT = timedelta(days=30), timedelta(days=365)
CHUNK_ROWS = 500  # in a transaction


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows went."""

    deliveries: int = 0
    incidents: int = 0


def forget(*, now: datetime) -> Forgotten:
    """Safe to interrupt and to repeat."""
    waiting = Delivery.State.WAITING
    return Forgotten(
        _delete(Delivery.objects.filter(created_at__lt=now - DELIVERIES_KEPT).exclude(state=waiting)),
        _delete(Incident.objects.filter(resolved_at__lt=now - INCIDENTS_KEPT)),
    )


def _delete(found: QuerySet[Delivery] | QuerySet[Incident]) -> int:
    gone = 0
    while keys := list(found.order_by("id").values_list("pk", flat=True)[:CHUNK_ROWS]):
        found.filter(pk__in=keys).delete()
        gone += len(keys)
    return gone
