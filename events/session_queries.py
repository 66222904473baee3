"""A customer's sessions narrowed to some, newest first: what `/app/sessions` asks.

    only = SessionFilter(server="git", errors_only=True, since=moment)
    sessions(7, only, before=None, limit=50)

Names are found by a part of them, which no index helps. So a filter looks at `MAX_SCANNED` sessions at most; a page
that stopped there may be short, even empty, and has a `next`. There are as many queries for any number of sessions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from core.paging import Page, decode, encode, paginate
from events.models import Session
from events.rows import SessionRow, session_row

MAX_SCANNED = 20_000  # sessions; about 30 ms

Place = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """A blank or absent field narrows nothing. `server` and `client` are parts of a name or title, in any case; a
    session is of the time it started in, half open."""

    server: str = ""
    client: str = ""
    errors_only: bool = False
    since: datetime | None = None
    until: datetime | None = None

    @property
    def looks(self) -> bool:
        """Whether rows must be looked at, which the order alone does not pick."""
        return bool(self.server or self.client or self.errors_only)


EVERYTHING = SessionFilter()


def sessions(
    customer_id: int, only: SessionFilter = EVERYTHING, *, before: str | None = None, limit: int
) -> Page[SessionRow]:
    """Those of a customer's sessions that `only` names, the one started last first. Raises `InvalidCursor`."""
    found = _within(Session.objects.filter(customer_id=customer_id).order_by("-started_at", "-session_id"), only)
    if before is not None:
        found = _after(found, decode(before, Place))
    floor: Place | None = None
    if only.looks:
        floor = found.values_list("started_at", "session_id")[MAX_SCANNED - 1 : MAX_SCANNED].first()
        found = _narrowed(found if floor is None else _down_to(found, floor), only)
    page = paginate(
        [session_row(row) for row in found[: limit + 1]], limit, lambda row: (row.started_at, row.session_id)
    )
    return Page(page.rows, encode(floor)) if page.next is None and floor is not None else page


def _within(found: QuerySet[Session], only: SessionFilter) -> QuerySet[Session]:
    if only.since is not None:
        found = found.filter(started_at__gte=only.since)
    return found if only.until is None else found.filter(started_at__lt=only.until)


def _narrowed(found: QuerySet[Session], only: SessionFilter) -> QuerySet[Session]:
    for side, part in (("server", only.server), ("client", only.client)):
        if part:
            found = found.filter(Q(**{f"{side}_name__icontains": part}) | Q(**{f"{side}_title__icontains": part}))
    return found.filter(errors__gt=0) if only.errors_only else found


def _after(found: QuerySet[Session], place: Place) -> QuerySet[Session]:
    """What follows `place`. The first condition is what the index is searched by."""
    moment, session_id = place
    return found.filter(started_at__lte=moment).exclude(started_at=moment, session_id__gte=session_id)


def _down_to(found: QuerySet[Session], place: Place) -> QuerySet[Session]:
    moment, session_id = place
    return found.filter(started_at__gte=moment).exclude(started_at=moment, session_id__lt=session_id)
