"""In which days a question's answers lie, where events are in partitions of days.

What counts events is written in the same transaction that stores them: a session's row knows when the session was, and
the daily rollups know on which days a customer has any, and how many.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Sum

from events.event_ids import ID_MAY_DIFFER, day_of, ids_between
from events.models import DailyRollup, Session

_FEW_DAYS = 8  # of rollups read first: an active customer's page lies within them
Span = tuple[UUID, UUID]
"""(the lowest id, one above the highest)"""


def span_of(customer_id: int, session_id: str) -> Span | None:
    """Between which ids a session's events lie; `None` for a session that is not there."""
    times = Session.objects.filter(customer_id=customer_id, session_id=session_id)
    found = times.values_list("started_at", "last_at").first()
    return None if found is None else ids_between(*found)


def lowest_of_newest(customer_id: int, latest: datetime | None, wanted: int) -> UUID | None:
    """The id from which on a customer's newest `wanted` events are, of `latest` or earlier where that is given; `None`
    for a customer without events."""
    days = DailyRollup.objects.filter(customer_id=customer_id)
    newest = None if latest is None else day_of(latest)
    if latest is not None:
        days = days.filter(at__lt=latest + ID_MAY_DIFFER)
    counts = days.values_list("at").annotate(events=Sum("events")).order_by("-at")
    lowest = _reached(counts[:_FEW_DAYS], wanted, newest)
    if lowest is None:
        lowest = _reached(counts, wanted, newest)
    if lowest is None:
        lowest = days.order_by("at").values_list("at", flat=True).first()
    return None if lowest is None else ids_between(lowest, lowest)[0]


def _reached(counts: Iterable[tuple[datetime, int]], wanted: int, newest: datetime | None) -> datetime | None:
    """The day down to which `counts`, newest first, hold `wanted` events; `None` when they hold fewer. The day a page
    begins in may be used up already, so its events are not relied on."""
    held = 0
    for at, events in counts:
        held += events if newest is None or at < newest else 0
        if held >= wanted:
            return at
    return None
