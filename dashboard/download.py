"""Events as a download, streamed.

    every(lambda after: queries.recent_events(7, after=after, limit=PAGE_EVENTS), 7)   → EventRow, EventRow, …
    chunks(pieces)                                                                     → bytes of `CHUNK_BYTES` and more

A page is read when the one before it was sent, so that nothing is read for a client that went away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from core.paging import Page
from events import queries
from events.rows import EventRow

PAGE_EVENTS = 100  # of 16 kB at most each, and the messages longer than that one by one
CHUNK_BYTES = 64 * 1024


def every(read: Callable[[str | None], Page[EventRow]], customer_id: int) -> Iterator[EventRow]:
    """Every event of the pages that `read(after)` gives, with its whole message."""
    after: str | None = None
    while True:
        page = read(after)
        for row in page.rows:
            yield row if row.is_whole else _whole(customer_id, row)
        if page.next is None:
            return
        after = page.next


def chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces; at least one."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        if len(waiting) >= CHUNK_BYTES:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


def _whole(customer_id: int, row: EventRow) -> EventRow:
    """`row` with its message; its beginning, marked as cut, if retention took the event meanwhile."""
    return queries.event(customer_id, row.id) or replace(row, truncated=True)
