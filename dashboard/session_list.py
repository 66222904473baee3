"""The list of sessions as one page of it stands at a moment, and a short word for that state, so that a poll can ask
"is this still so?" and be answered with nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.paging import Page
from dashboard.asked import Asked
from events import session_queries
from events.rows import SessionRow
from events.session_queries import SessionFilter

SESSIONS_PER_PAGE = 50
LIVE_FOR = timedelta(seconds=60)  # after its last message; agents pause to think, seldom for longer
NOTHING_SEEN = "none"
EVERYTHING = Asked({}, session_queries.EVERYTHING)


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A session and whether it is going on."""

    row: SessionRow
    is_live: bool

    @property
    def duration(self) -> timedelta:
        return self.row.last_at - self.row.started_at


@dataclass(frozen=True, slots=True)
class SessionList:
    """`asked` and `before` are what was asked for; `next` is the `before` of the page after this one."""

    sessions: list[ListedSession]
    before: str | None
    next: str | None
    asked: Asked[SessionFilter]

    @property
    def is_first_run(self) -> bool:
        """Nothing was ever recorded: not an empty page, a beginning."""
        return not (self.sessions or self.before or self.next or self.asked.is_narrowed)

    @property
    def seen(self) -> str:
        """Changes whenever the list would look different."""
        if self.is_first_run:
            return NOTHING_SEEN
        facts = [(item.row.session_id, item.row.events, item.is_live) for item in self.sessions]
        return hashlib.sha256(repr((facts, self.next is None)).encode()).hexdigest()[:16]


def read(
    customer_id: int,
    asked: Asked[SessionFilter] = EVERYTHING,
    *,
    before: str | None = None,
    at: datetime,
    limit: int | None = None,
) -> SessionList:
    """One page of those of a customer's sessions that `asked` names. Raises `InvalidCursor`."""
    page: Page[SessionRow] = session_queries.sessions(
        customer_id, asked.only, before=before or None, limit=limit or SESSIONS_PER_PAGE
    )
    listed = [ListedSession(row, is_live(row, at)) for row in page.rows]
    return SessionList(listed, before or None, page.next, asked)


def is_live(row: SessionRow, at: datetime) -> bool:
    """Whether messages have come within the last minute."""
    return at - row.last_at < LIVE_FOR
