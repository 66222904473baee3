"""What the relational stores share: every read and every delete, through Django; each writes in its own way.

Lists read the beginning of each message and nothing more. Where events lie in partitions of days, `_span` and `_newest`
say which of them a question needs; here, where there is one table, they narrow nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, Exists, F, FloatField, OuterRef, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Ceil, Greatest, Least, Ln, TruncMinute

from core.paging import Page, decode, encode, paginate
from events.event_ids import DAY, first_id, ids_between, moment_of
from events.histogram import GAMMA, LONGEST_MS, SHORTEST_MS, Histogram
from events.joined import Listed
from events.models import Event, EventKey, Party
from events.rows import EventRow, Exchange, Measure, event_row, previewed, whole, whole_row
from events.store import ANSWERS, EventFilter
from events.stores.days import Span

IDS_A_STATEMENT = 500
MAX_SCANNED = 20_000  # rows one filtered page looks at before it stops and offers to go on; about 50 ms
_HAS_PARTNER = ~Q(correlation_id="")  # as the index says it, which is by the correlations there are
_WITHIN = Least(Greatest(F("duration_ms"), Value(SHORTEST_MS)), Value(LONGEST_MS))
_BUCKET = Case(  # `events.histogram.bucket_of`; PostgreSQL's GREATEST knows no NULL
    When(duration_ms__isnull=False, then=Ceil(Ln(_WITHIN) / Value(math.log(GAMMA)))), output_field=FloatField(null=True)
)


class RelationalStore:
    """The reads and the deletes of an `EventStore` over the table of `events.models.Event`."""

    def known(self, customer_id: int, ids: Iterable[UUID]) -> set[UUID]:
        """Those of `ids` this customer has stored: one look-up in the primary key each."""
        return known_in(Event, customer_id, ids)

    def event(self, customer_id: int, event_id: UUID) -> EventRow | None:
        """One event with its whole message."""
        for columns in whole(Event.objects.filter(customer_id=customer_id, id=event_id)):
            return whole_row(columns)
        return None

    def session_events(self, customer_id: int, session_id: str, *, after: str | None, limit: int) -> Page[EventRow]:
        """A session's events in the order they happened."""
        found = _after(self._session(customer_id, session_id), after)
        return paginate([event_row(row) for row in previewed(found)[: limit + 1]], limit, place)

    def session_exchanges(self, customer_id: int, session_id: str, *, after: str | None, limit: int) -> Page[Exchange]:
        """A session's messages, every answer folded into its request."""
        session = self._session(customer_id, session_id)
        request = session.filter(
            _HAS_PARTNER, correlation_id=OuterRef("correlation_id"), type="request", sequence__lt=OuterRef("sequence")
        ).exclude(direction=OuterRef("direction"))
        is_answer = _HAS_PARTNER & Q(type__in=ANSWERS) & Exists(request.order_by())
        openings = previewed(_after(session, after).exclude(is_answer))
        page = paginate([event_row(row) for row in openings[: limit + 1]], limit, place)
        return Page(_folded(session, page.rows), page.next)

    def exchanges(self, customer_id: int, session_id: str, ids: Iterable[UUID]) -> list[Exchange]:
        """The exchanges of a session that the events `ids` begin."""
        session = self._session(customer_id, session_id)
        return _folded(session, [event_row(row) for row in previewed(session.filter(id__in=set(ids)))])

    def session_tail(self, customer_id: int, session_id: str, *, last: int) -> str | None:
        """The cursor behind which a session's `last` events lie; `None` when it has no more than those."""
        newest = self._session(customer_id, session_id).order_by("-sequence", "-id").values_list("sequence", "id")
        place = newest[last : last + 1].first()
        return None if place is None else encode(place)

    def recent_events(self, customer_id: int, *, after: str | None, limit: int, only: EventFilter) -> Page[EventRow]:
        """A customer's events, newest first; a filter looks at `MAX_SCANNED` of them."""
        below = None if after is None else decode(after, UUID)
        is_filtered = only != EventFilter(since=only.since, until=only.until)
        found = _within(Event.objects.filter(customer_id=customer_id), only).order_by("-id")
        if below is not None:
            found = found.filter(id__lt=below)
        ends = [moment for moment in (only.until, below and moment_of(below)) if moment is not None]
        wanted = (MAX_SCANNED if is_filtered else limit) + 1
        found = self._newest(found, customer_id, min(ends, default=None), wanted)
        floor: UUID | None = None
        if is_filtered:
            floor = found.values_list("id", flat=True)[MAX_SCANNED : MAX_SCANNED + 1].first()
            found = _narrowed(found if floor is None else found.filter(id__gt=floor), only)
        page = newest_page(found, limit)
        if page.next is None and floor is not None:
            return Page(page.rows, encode(UUID(int=floor.int + 1)))
        return page

    def minutes(
        self, customer_id: int, *, since: datetime, until: datetime, most: int, timed: bool = True
    ) -> list[Measure]:
        """Counted by the database, a row for each minute, server, method and tool. Its rows are sorted to be grouped:
        by numbers first, which compare in a fraction of the time that texts take."""
        found = _within(Event.objects.filter(customer_id=customer_id), EventFilter(since=since, until=until))
        floor = found.order_by("-id").values_list("id", flat=True)[most : most + 1].first()
        found = found if floor is None else found.filter(id__gt=floor)
        keys = found.annotate(at=TruncMinute("timestamp", tzinfo=UTC))
        counts = keys.values_list("at", "server_id", "method", "tool").annotate(
            buckets=Listed(_BUCKET) if timed else Value(""),
            events=Count("id"),
            requests=Count("id", filter=Q(type="request")),
            errors=Count("id", filter=Q(is_error=True)),
            bytes=Sum("size"),
        )
        rows = list(counts.order_by("at", "server_id"))
        parties = Party.objects.filter(pk__in={row[1] for row in rows})
        names = dict(parties.values_list("pk", "name"))
        return [measure((row[0], names.get(row[1]), *row[2:])) for row in rows]

    def answers(self) -> bool:
        """It is the database of everything else, whose answer is asked for elsewhere."""
        return True

    def prepare(self, *, now: datetime) -> None:
        """One table holds every day."""

    def delete_day(self, customer_id: int, day: datetime, *, most: int) -> int:
        """Delete up to `most` of a customer's events of one UTC day."""
        since, end = ids_between(day, day + DAY)
        of_day = Event.objects.filter(customer_id=customer_id, timestamp__gte=day, timestamp__lt=day + DAY)
        expired = of_day.filter(id__gte=since, id__lt=end)
        chunk = list(expired.order_by("id").values_list("id", flat=True)[:most])
        return expired.filter(id__lte=chunk[-1]).delete()[0] if chunk else 0

    def drop_before(self, day: datetime) -> int:  # noqa: ARG002
        """Nothing can go at once."""
        return 0

    def _session(self, customer_id: int, session_id: str) -> QuerySet[Event]:
        found = Event.objects.filter(customer_id=customer_id, session_id=session_id).order_by("sequence", "id")
        span = self._span(customer_id, session_id)
        return found if span is None else found.filter(id__gte=span[0], id__lt=span[1])

    def _span(self, customer_id: int, session_id: str) -> Span | None:  # noqa: ARG002
        """Between which ids a session's events lie, where that helps to find them."""
        return None

    def _newest(
        self, found: QuerySet[Event], _customer_id: int, _latest: datetime | None, _wanted: int
    ) -> QuerySet[Event]:
        """`found` without days so old that the newest `wanted` events cannot be among them, where that helps; with
        `latest`, the newest of that moment or earlier."""
        return found


def newest_page(found: QuerySet[Event], limit: int) -> Page[EventRow]:
    """The newest `limit` of `found`."""
    rows = previewed(found.order_by("-id"))[: limit + 1]
    return paginate([event_row(row) for row in rows], limit, lambda row: row.id)


def measure(row: tuple[Any, ...]) -> Measure:
    """Of one group of events: minute, server, method, tool, the buckets of their durations ("65,66,65"; blank or `None`
    for none), and their sums."""
    at, server, method, tool, buckets, events, requests, errors, size = row
    histogram = Histogram(Counter(map(int, buckets.split(",")))).encode() if buckets else b""
    return Measure(at, server or "", method, tool, events, requests, errors, size, histogram)


def known_in(model: type[Event] | type[EventKey], customer_id: int, ids: Iterable[UUID]) -> set[UUID]:
    """Those of `ids` that this customer has among the rows of `model`."""
    wanted, found = list(ids), set[UUID]()
    for start in range(0, len(wanted), IDS_A_STATEMENT):
        part = model._default_manager.filter(customer_id=customer_id, id__in=wanted[start : start + IDS_A_STATEMENT])
        found.update(part.values_list("id", flat=True))
    return found


def _after(found: QuerySet[Event], after: str | None) -> QuerySet[Event]:
    if after is None:
        return found
    sequence, event_id = decode(after, tuple[int, UUID])
    return found.filter(sequence__gte=sequence).exclude(sequence=sequence, id__lte=event_id)


def place(row: EventRow) -> tuple[int, UUID]:
    return row.sequence, row.id


def _folded(session: QuerySet[Event], openings: Iterable[EventRow]) -> list[Exchange]:
    rows = list(openings)
    asked = correlations(rows)
    same = session.filter(_HAS_PARTNER, correlation_id__in=asked) if asked else session.none()
    return folded(rows, map(event_row, previewed(same)))


def correlations(openings: Iterable[EventRow]) -> set[str]:
    """The correlations of the requests among `openings`: what their answers are found by."""
    return {row.correlation_id for row in openings if row.type == "request" and row.correlation_id}


def folded(openings: Sequence[EventRow], same: Iterable[EventRow]) -> list[Exchange]:
    """Each of `openings` with its answers out of `same`, all of the session's messages of their `correlations` in
    order: those after it, before the next request of the same correlation."""
    answers = _answers(same)
    return [Exchange(row, tuple(answers.get(row.id, ()))) for row in openings]


def _answers(same: Iterable[EventRow]) -> dict[UUID, list[EventRow]]:
    """The answers to each request."""
    found: dict[UUID, list[EventRow]] = {}
    latest: dict[tuple[str, str], UUID] = {}
    for row in same:
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
    found = found.filter(server__name=only.server) if only.server else found
    return found.filter(is_error=True) if only.errors_only else found
