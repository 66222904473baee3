"""One page of the events as it stands at a moment: a line each, and a short word for the whole, so that a poll can ask
"is this still so?" and be answered with nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from dashboard import gist
from dashboard.asked import Asked
from dashboard.gist import Gist
from events import queries
from events.rows import EventRow
from events.store import EventFilter

EVENTS_PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Line:
    """An event and what it says in one line."""

    row: EventRow
    gist: Gist

    @property
    def from_server(self) -> bool:
        return self.row.direction == "response"

    @property
    def title(self) -> str:
        return self.row.method or {"notification": "not JSON-RPC"}.get(self.row.type, self.row.type)


@dataclass(frozen=True, slots=True)
class EventList:
    """`before` is what was asked for, `next` the `before` of the page after this one."""

    lines: list[Line]
    before: str | None
    next: str | None
    asked: Asked[EventFilter]

    @property
    def seen(self) -> str:
        """Changes whenever the list would look different."""
        facts = [line.row.id.hex for line in self.lines]
        return hashlib.sha256(repr((facts, self.next is None)).encode()).hexdigest()[:16]


def read(customer_id: int, asked: Asked[EventFilter], *, before: str | None) -> EventList:
    """A page of what `asked` narrows to, newest first. Raises `InvalidCursor`."""
    page = queries.recent_events(customer_id, after=before or None, limit=EVENTS_PER_PAGE, only=asked.only)
    return EventList([Line(row, _gist(row)) for row in page.rows], before or None, page.next, asked)


def _gist(row: EventRow) -> Gist:
    if row.is_base64:
        return Gist(said="bytes that are not UTF-8")
    if row.type not in queries.ANSWERS:
        return gist.of_opening(row.message)
    fault = gist.of_answer(row.message)
    return fault if fault.fault else gist.of_result(row.message)
