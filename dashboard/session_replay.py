"""A session as a file to play again, in the order things were said and in the memory of one page of it.

Its two forms are `km_protocol.replay`'s, which `km-client` writes and reads as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import structlog
from km_protocol import replay
from km_protocol.replay import Said

from core.paging import Page
from dashboard import download
from dashboard.timeline import GAP_METHOD, gap_words
from events import queries
from events.rows import EventRow, SessionRow

FORMATS = {"jsonl": "application/x-ndjson", "txt": "text/plain; charset=utf-8"}

_log = structlog.get_logger(__name__)


def stream(customer_id: int, session: SessionRow, form: str) -> Iterator[bytes]:
    """The file, piece by piece. `form` is a key of `FORMATS`."""
    messages, is_whole = 0, False

    def pieces() -> Iterator[bytes]:
        nonlocal messages
        rows = download.every(partial(_page, customer_id, session.session_id), customer_id)
        for piece in _FORMS[form](session, rows):
            yield piece
            messages += 1

    try:
        yield from download.chunks(pieces())
        is_whole = True
    finally:
        _log.info("session_replay_sent", pieces=messages, form=form, is_whole=is_whole)


def file_name(session: SessionRow, form: str) -> str:
    """Harmless in a header and on every disk, whatever the session is called."""
    return f"session-{re.sub(r'[^A-Za-z0-9_-]+', '-', session.session_id)[:64].strip('-') or 'unnamed'}.{form}"


def _page(customer_id: int, session_id: str, after: str | None) -> Page[EventRow]:
    return queries.session_events(customer_id, session_id, after=after, limit=download.PAGE_EVENTS)


def _recording(_: SessionRow, rows: Iterable[EventRow]) -> Iterator[bytes]:
    return replay.recorded(map(_said, rows))


def _script(session: SessionRow, rows: Iterable[EventRow]) -> Iterator[bytes]:
    server, client = (f"{party.title or party.name} {party.version}" for party in (session.server, session.client))
    yield replay.comment(f"Kilometers session {session.session_id}")
    yield replay.comment(f"server: {server}")
    yield replay.comment(f"client: {client}")
    yield replay.comment(f"protocol: {session.protocol_version or 'not said'}")
    yield replay.comment(f"began: {session.started_at.isoformat()}")
    yield from replay.played(map(_said, rows), session.started_at)


def _said(row: EventRow) -> Said:
    gap = gap_words(row.message) if row.method == GAP_METHOD else None
    return Said(
        str(row.id),
        row.sequence,
        row.timestamp,
        row.direction,
        row.type,
        row.message,
        row.is_base64,
        row.size,
        row.truncated,
        gap,
    )


_FORMS: dict[str, Callable[[SessionRow, Iterable[EventRow]], Iterator[bytes]]] = {
    "jsonl": _recording,
    "txt": _script,
}
