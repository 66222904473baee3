"""Reads of this room, for the API and the dashboard. Every one is bound to a customer (`Customer.pk`) first.

    page = session_exchanges(7, "s-1", after=None, limit=100)
    page.rows, page.next                              # `next` is the `after` of the following page, or None

Nothing here looks into a message, and no list reads more of one than a preview. Events come from the store in use, the
rest from the relational database.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet, Sum

from core.paging import Page
from events import logs, store, stores
from events.histogram import Histogram
from events.models import DailyRollup, HourlyRollup, InboxEntry, Session
from events.rows import EventRow, Exchange, Hour, InboxDepth, Latency, SessionRow, Totals, session_row
from events.store import NOTHING, EventFilter

ANSWERS = store.ANSWERS
_SUMMED = ("events", "requests", "errors", "bytes")


def session(customer_id: int, session_id: str) -> SessionRow | None:
    """One session of this customer, if there is such."""
    row = Session.objects.filter(customer_id=customer_id, session_id=session_id).first()
    return None if row is None else session_row(row)


def session_events(customer_id: int, session_id: str, *, after: str | None = None, limit: int) -> Page[EventRow]:
    """A session's events in the order they happened. Raises `InvalidCursor`."""
    return stores.current().session_events(customer_id, session_id, after=after, limit=limit)


def session_exchanges(customer_id: int, session_id: str, *, after: str | None = None, limit: int) -> Page[Exchange]:
    """A session's messages with every answer folded into its request, in order. Raises `InvalidCursor`.

    An answer whose request was not recorded, a notification, and a request still open stand alone. A page is exact
    however far apart request and answer are.
    """
    return stores.current().session_exchanges(customer_id, session_id, after=after, limit=limit)


def exchanges(customer_id: int, session_id: str, ids: Iterable[UUID]) -> list[Exchange]:
    """The exchanges of a session that the events `ids` begin, in order; ids of other sessions' events are left out."""
    return stores.current().exchanges(customer_id, session_id, ids)


def session_tail(customer_id: int, session_id: str, *, last: int) -> str | None:
    """The cursor behind which a session's `last` events lie; `None` when it has no more than those."""
    return stores.current().session_tail(customer_id, session_id, last=last)


def recent_events(
    customer_id: int, *, after: str | None = None, limit: int, only: EventFilter = NOTHING
) -> Page[EventRow]:
    """A customer's events, newest first. Raises `InvalidCursor`.

    A filter looks at some ten thousand rows at most; a page that stopped there may be short, even empty, and has a
    `next`.
    """
    return stores.current().recent_events(customer_id, after=after, limit=limit, only=only)


def event(customer_id: int, event_id: UUID) -> EventRow | None:
    """One event with its whole message, if this customer has it."""
    return stores.current().event(customer_id, event_id)


def totals(customer_id: int, *, since: datetime) -> Totals:
    """Sums from the hour `since` lies in: hours up to the next UTC midnight, then whole days."""
    parts = [
        rows.aggregate(**{name: Sum(name) for name in _SUMMED}) for rows in _hours_then_days(customer_id, since, None)
    ]
    events, requests, errors, size = (sum(part[name] or 0 for part in parts) for name in _SUMMED)
    begun = Session.objects.filter(customer_id=customer_id, started_at__gte=since).count()
    return Totals(events, requests, errors, size, begun)


def hours(customer_id: int, *, since: datetime, until: datetime) -> list[Hour]:
    """What each hour from the one `since` lies in held, oldest first, up to `until`; none for hours without events."""
    found = HourlyRollup.objects.filter(customer_id=customer_id, at__gte=_hour(since), at__lt=until)
    sums = found.values_list("at").annotate(**{f"sum_{name}": Sum(name) for name in _SUMMED}).order_by("at")
    return [Hour(*row) for row in sums]


def latencies(customer_id: int, *, since: datetime, until: datetime | None = None) -> list[Latency]:
    """How long each (server, method, tool) took, the busiest first, from the hour `since` lies in: hours up to the next
    UTC midnight, then whole days. Each percentile is within 2 % of the exact one."""
    merged: dict[tuple[str, str, str], tuple[list[int], Histogram]] = {}
    for rows in _hours_then_days(customer_id, since, until):
        timed = rows.filter(timed__gt=0)
        for *key, errors, stored in timed.values_list("server", "method", "tool", "errors", "histogram"):
            of_key, histogram = merged.setdefault((key[0], key[1], key[2]), ([0], Histogram()))
            of_key[0] += errors
            histogram.merge(stored)
    found = [
        Latency(*key, histogram.total, of_key[0], *histogram.quantiles(0.5, 0.95, 0.99))
        for key, (of_key, histogram) in merged.items()
    ]
    return sorted(found, key=lambda row: (-row.timed, row.server, row.method, row.tool))


def _hours_then_days(
    customer_id: int, since: datetime, until: datetime | None
) -> tuple[QuerySet[HourlyRollup], QuerySet[DailyRollup]]:
    """The rollups of the hours from `since` to the next UTC midnight, and of the days after it, those that begin before
    `until`."""
    hour = _hour(since)
    midnight = hour if hour.hour == 0 else hour.replace(hour=0) + timedelta(days=1)
    hourly = HourlyRollup.objects.filter(customer_id=customer_id, at__gte=hour, at__lt=midnight)
    daily = DailyRollup.objects.filter(customer_id=customer_id, at__gte=midnight)
    return (hourly, daily) if until is None else (hourly.filter(at__lt=until), daily.filter(at__lt=until))


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def inbox_depth(customer_id: int | None = None) -> InboxDepth:
    """What waits to be stored: of one customer, or of all.

    A log outside of the database tells neither customers nor events nor ages: the requests in it are among all those of
    all customers, where it answers, and in no other figure.
    """
    waiting = InboxEntry.objects.all() if customer_id is None else InboxEntry.objects.filter(customer_id=customer_id)
    oldest = waiting.order_by("id").values_list("received_at", flat=True).first()
    outside = (logs.current().waiting() or 0) if customer_id is None else 0
    if oldest is None:
        return InboxDepth(outside, 0, None)
    return InboxDepth(waiting.count() + outside, waiting.aggregate(total=Sum("events"))["total"] or 0, oldest)
