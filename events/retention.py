"""Deleting what a customer's tier no longer keeps. Never the inbox: what is acknowledged is first stored.

    expire(now=moment)   → Expired(events=120_000, sessions=40, rollups=900)

Events are found by their id, which leads with their time, so the work is proportional to what is deleted. It goes in
small transactions with pauses: one large `DELETE` would hold SQLite's only write lock while requests wait.
A rollup goes when the day it counts lies wholly before the limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from customers.queries import retention_days_by_customer
from events.models import DailyRollup, Event, HourlyRollup, Session
from events.queries import first_id
from events.turns import turn

CHUNK_ROWS = 500  # about 10 ms on SQLite
PAUSE_SECONDS = 0.02  # between chunks, twice as long as one: requests get their turn


@dataclass(frozen=True, slots=True)
class Expired:
    """How many rows were deleted."""

    events: int = 0
    sessions: int = 0
    rollups: int = 0


def expire(*, now: datetime, pause: Callable[[float], None] = time.sleep) -> Expired:
    """Delete, for every customer, what is older than its tier keeps. Safe to interrupt and to repeat."""
    events = sessions = rollups = 0
    for customer_id, days in retention_days_by_customer().items():
        limit = now - timedelta(days=days)
        events += _delete_events(customer_id, limit, pause)
        sessions += Session.objects.filter(customer_id=customer_id, last_at__lt=limit).delete()[0]
        for model in (HourlyRollup, DailyRollup):
            rollups += model.objects.filter(customer_id=customer_id, at__lt=limit - timedelta(days=1)).delete()[0]
    return Expired(events, sessions, rollups)


def _delete_events(customer_id: int, limit: datetime, pause: Callable[[float], None]) -> int:
    expired = Event.objects.filter(customer_id=customer_id, id__lt=first_id(limit))
    deleted = 0
    while chunk := list(expired.order_by("id").values_list("id", flat=True)[:CHUNK_ROWS]):
        with turn():
            deleted += expired.filter(id__lte=chunk[-1]).delete()[0]
        pause(PAUSE_SECONDS)
    return deleted
