"""Reads of this room, for the API and the dashboard. Every one is bound to a customer (`Customer.pk`) first.

    page = sessions(7, before=None, limit=20)         # newest first
    page.rows[0].session_id, page.next                # `next` is the `before` of the following page, or None
    session_exchanges(7, page.rows[0].session_id, after=None, limit=100)

Nothing here looks into a message, and no list reads more of one than a preview.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from km_protocol.envelope import unix_milliseconds, uuid7

from core.paging import Page, decode, encode, paginate
from events.models import DailyRollup, Event, HourlyRollup, InboxEntry, Session
from events.rows import (
    EventRow,
    Exchange,
    InboxDepth,
    SessionRow,
    Totals,
    event_row,
    previewed,
    session_row,
    whole_event_row,
)

ANSWERS = ("response", "error")  # the types that answer a request
MAX_SCANNED = 20_000  # rows one filtered page looks at before it stops and offers to go on; about 50 ms
_SUMMED = ("events", "requests", "errors", "bytes")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What `recent_events` is narrowed to; a blank or absent field narrows nothing. Times are half open."""

    session_id: str = ""
    type: str = ""
    direction: str = ""
    method: str = ""
    tool: str = ""
    errors_only: bool = False
    since: datetime | None = None
    until: datetime | None = None


def sessions(customer_id: int, *, before: str | None = None, server: str = "", limit: int) -> Page[SessionRow]:
    """A customer's sessions, the one started last first; with `server`, those of servers whose name or title holds it.

    Raises `InvalidCursor`.
    """
    found = Session.objects.filter(customer_id=customer_id).order_by("-started_at", "-session_id")
    if server:
        found = found.filter(Q(server_name__icontains=server) | Q(server_title__icontains=server))
    if before is not None:
        moment, session_id = decode(before, tuple[datetime, str])
        found = found.filter(Q(started_at__lt=moment) | Q(started_at=moment, session_id__lt=session_id))
    rows = [session_row(row) for row in found[: limit + 1]]
    return paginate(rows, limit, lambda row: (row.started_at, row.session_id))


def session(customer_id: int, session_id: str) -> SessionRow | None:
    """One session of this customer, if there is such."""
    row = Session.objects.filter(customer_id=customer_id, session_id=session_id).first()
    return None if row is None else session_row(row)


def session_events(customer_id: int, session_id: str, *, after: str | None = None, limit: int) -> Page[EventRow]:
    """A session's events in the order they happened. Raises `InvalidCursor`."""
    found = _in_session(customer_id, session_id, after)
    rows = [event_row(row) for row in previewed(found)[: limit + 1]]
    return paginate(rows, limit, _place)


def session_exchanges(customer_id: int, session_id: str, *, after: str | None = None, limit: int) -> Page[Exchange]:
    """A session's messages with every answer folded into its request, in order. Raises `InvalidCursor`.

    An answer whose request was not recorded, a notification, and a request still open stand alone. A page is exact
    however far apart request and answer are.
    """
    request = Event.objects.filter(
        customer_id=customer_id,
        correlation_id=OuterRef("correlation_id"),
        session_id=session_id,
        type="request",
        sequence__lt=OuterRef("sequence"),
    ).exclude(direction=OuterRef("direction"))
    is_answer = ~Q(correlation_id="") & Q(type__in=ANSWERS) & Exists(request)
    openings = previewed(_in_session(customer_id, session_id, after).exclude(is_answer))
    rows = [event_row(row) for row in openings[: limit + 1]]
    page = paginate(rows, limit, _place)
    answers = _answers(customer_id, session_id, page.rows)
    return Page([Exchange(row, tuple(answers.get(row.id, ()))) for row in page.rows], page.next)


def exchanges(customer_id: int, session_id: str, ids: Iterable[UUID]) -> list[Exchange]:
    """The exchanges of a session that the events `ids` begin, in order; ids of other sessions' events are left out."""
    found = previewed(_in_session(customer_id, session_id, None).filter(id__in=set(ids)))
    rows = [event_row(row) for row in found]
    answers = _answers(customer_id, session_id, rows)
    return [Exchange(row, tuple(answers.get(row.id, ()))) for row in rows]


def session_tail(customer_id: int, session_id: str, *, last: int) -> str | None:
    """The cursor behind which a session's `last` events lie; `None` when it has no more than those."""
    newest = _in_session(customer_id, session_id, None).order_by("-sequence", "-id").values_list("sequence", "id")
    place = newest[last : last + 1].first()
    return None if place is None else encode(place)


def recent_events(
    customer_id: int,
    *,
    after: str | None = None,
    limit: int,
    only: EventFilter = EventFilter(),
) -> Page[EventRow]:
    """A customer's events, newest first. Raises `InvalidCursor`.

    A filter looks at `MAX_SCANNED` rows at most; a page that stopped there may be short, even empty, and has a `next`.
    """
    found = Event.objects.filter(customer_id=customer_id).order_by("-id")
    if after is not None:
        found = found.filter(id__lt=decode(after, UUID))
    found = _within(found, only)
    floor: UUID | None = None
    if only != EventFilter(since=only.since, until=only.until):
        floor = found.values_list("id", flat=True)[MAX_SCANNED : MAX_SCANNED + 1].first()
        found = _narrowed(found if floor is None else found.filter(id__gt=floor), only)
    page = paginate([event_row(row) for row in previewed(found)[: limit + 1]], limit, lambda row: row.id)
    if page.next is None and floor is not None:
        return Page(page.rows, encode(UUID(int=floor.int + 1)))
    return page


def event(customer_id: int, event_id: UUID) -> EventRow | None:
    """One event with its whole message, if this customer has it."""
    row = Event.objects.filter(customer_id=customer_id, id=event_id).select_related("server", "client").first()
    return None if row is None else whole_event_row(row)


def totals(customer_id: int, *, since: datetime) -> Totals:
    """Sums from the hour `since` lies in: hours up to the next UTC midnight, then whole days."""
    hour = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    midnight = hour if hour.hour == 0 else hour.replace(hour=0) + timedelta(days=1)
    hours = HourlyRollup.objects.filter(customer_id=customer_id, at__gte=hour, at__lt=midnight)
    days = DailyRollup.objects.filter(customer_id=customer_id, at__gte=midnight)
    sums = [rows.aggregate(**{name: Sum(name) for name in _SUMMED}) for rows in (hours, days)]
    events, requests, errors, size = (sum(part[name] or 0 for part in sums) for name in _SUMMED)
    begun = Session.objects.filter(customer_id=customer_id, started_at__gte=since).count()
    return Totals(events, requests, errors, size, begun)


def first_id(moment: datetime) -> UUID:
    """The smallest id an event of `moment` or later can have. A moment before 1970 counts as 1970."""
    return uuid7(max(0, unix_milliseconds(moment)), bytes(10))


def inbox_depth(customer_id: int | None = None) -> InboxDepth:
    """What waits to be stored: of one customer, or of all."""
    waiting = InboxEntry.objects.all() if customer_id is None else InboxEntry.objects.filter(customer_id=customer_id)
    oldest = waiting.order_by("id").values_list("received_at", flat=True).first()
    return InboxDepth(waiting.count(), waiting.aggregate(total=Sum("events"))["total"] or 0, oldest)


def _in_session(customer_id: int, session_id: str, after: str | None) -> QuerySet[Event]:
    found = Event.objects.filter(customer_id=customer_id, session_id=session_id).order_by("sequence", "id")
    if after is None:
        return found
    sequence, event_id = decode(after, tuple[int, UUID])
    return found.filter(sequence__gte=sequence).exclude(sequence=sequence, id__lte=event_id)


def _place(row: EventRow) -> tuple[int, UUID]:
    return row.sequence, row.id


def _answers(customer_id: int, session_id: str, openings: Iterable[EventRow]) -> dict[UUID, list[EventRow]]:
    """The answers to each request among `openings`: those after it, before the next request of the same correlation."""
    requests = [row for row in openings if row.type == "request" and row.correlation_id]
    if not requests:
        return {}
    same = Event.objects.filter(
        customer_id=customer_id, session_id=session_id, correlation_id__in={row.correlation_id for row in requests}
    )
    found: dict[UUID, list[EventRow]] = {}
    latest: dict[tuple[str, str], UUID] = {}
    for row in map(event_row, previewed(same).order_by("sequence", "id")):
        if row.type == "request":
            latest[row.correlation_id, row.direction] = row.id
        elif row.type in ANSWERS and (request := latest.get((row.correlation_id, _opposite(row.direction)))):
            found.setdefault(request, []).append(row)
    return found


def _opposite(direction: str) -> str:
    return "response" if direction == "request" else "request"


def _within(found: QuerySet[Event], only: EventFilter) -> QuerySet[Event]:
    """The time range, as a range of ids: they lead with the event's millisecond."""
    if only.since is not None:
        found = found.filter(id__gte=first_id(only.since))
    if only.until is not None:
        found = found.filter(id__lt=first_id(only.until))
    return found


def _narrowed(found: QuerySet[Event], only: EventFilter) -> QuerySet[Event]:
    wanted = {name: getattr(only, name) for name in ("session_id", "type", "direction", "method", "tool")}
    found = found.filter(**{name: value for name, value in wanted.items() if value})
    return found.filter(is_error=True) if only.errors_only else found
