"""Whether a list is complete: its pages put together, however they come in.

    completed(server, events, pages, at=moment)      → [List(began=15:40:01, ended=15:40:02)]

A list is a question without a cursor, its answer, and for as long as an answer names a cursor, the question with that
cursor and its answer, all of one session. Question and answer may arrive in different drains, in any order: what has
no other half yet waits as a row of `ToolListPart`, and most lists, asked and answered in one go, never make one.
An answer that names no question (`correlation_id`) is part of no list that anybody could call complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from events.definitions_models import ToolListPart, ToolServer
from events.definitions_reading import Page, Unreadable, asked_for
from events.store import NewEvent

MAX_PARTS = 1_000  # of a session: a server that goes on for ever is given up
Key = tuple[str, str]
"""(session, correlation)"""


class List(NamedTuple):
    """A complete list: when its first page was answered, and its last."""

    began: datetime
    ended: datetime


def completed(
    server: ToolServer, events: Iterable[NewEvent], pages: Mapping[UUID, Page], *, at: datetime
) -> list[List]:
    """The lists that `events`, of whose answers `pages` are the good ones, complete. Under the server's lock."""
    touched = [event for event in events if event.correlation_id and (event.type == "request" or event.id in pages)]
    if not touched:
        return []
    parts = _kept(server, {event.session_id for event in touched})
    for event in touched:
        _take(parts, server, event, pages, at)
    lists: list[List] = []
    for session in sorted({event.session_id for event in touched}):
        own = [part for part in parts.values() if part.session_id == session]
        lists += _whole_lists(own)
        _keep(own, touched=[parts.get((event.session_id, event.correlation_id)) for event in touched])
    return lists


def _kept(server: ToolServer, sessions: set[str]) -> dict[Key, ToolListPart]:
    rows = ToolListPart.objects.filter(server=server, session_id__in=sessions).order_by("id")
    return {(row.session_id, row.correlation_id): row for row in rows}


def _take(
    parts: dict[Key, ToolListPart], server: ToolServer, event: NewEvent, pages: Mapping[UUID, Page], at: datetime
) -> None:
    key = event.session_id, event.correlation_id
    part = parts.setdefault(
        key, ToolListPart(server=server, session_id=key[0], correlation_id=key[1], is_asked=False, kept_at=at)
    )
    if event.type != "request":
        part.answered_at, part.next_cursor = event.timestamp, pages[event.id].next
        return
    try:
        part.cursor = asked_for(event)
        part.is_asked = True
    except Unreadable:
        parts.pop(key)


def _whole_lists(parts: list[ToolListPart]) -> list[List]:
    """The complete lists among a session's parts, which are taken out of them."""
    ready = sorted(
        (part for part in parts if part.is_asked and part.answered_at),
        key=lambda part: (part.answered_at, part.pk or 0),
    )
    found = []
    for first in reversed([part for part in ready if not part.cursor]):  # a cursor may come again in a later list
        chain = _chain(first, ready)
        if chain and chain[0].answered_at and chain[-1].answered_at:
            found.append(List(chain[0].answered_at, chain[-1].answered_at))
            used = {id(part) for part in chain}
            ready = [part for part in ready if id(part) not in used]
            parts[:] = [part for part in parts if id(part) not in used]
            ToolListPart.objects.filter(pk__in=[part.pk for part in chain if part.pk]).delete()
    return found


def _chain(first: ToolListPart, ready: list[ToolListPart]) -> list[ToolListPart]:
    """The pages from `first` to the end; none while one is missing."""
    chain, place = [first], ready.index(first)
    while chain[-1].next_cursor:
        wanted = chain[-1].next_cursor
        place = next((at for at in range(place + 1, len(ready)) if ready[at].cursor == wanted), -1)
        if place < 0:
            return []
        chain.append(ready[place])
    return chain


def _keep(parts: list[ToolListPart], *, touched: list[ToolListPart | None]) -> None:
    """Write down what is still without its other half."""
    surplus, rest = parts[:-MAX_PARTS], parts[-MAX_PARTS:]
    ToolListPart.objects.filter(pk__in=[part.pk for part in surplus if part.pk]).delete()
    ToolListPart.objects.bulk_create([part for part in rest if part._state.adding])
    known = {id(part) for part in touched}
    changed = [part for part in rest if id(part) in known]
    ToolListPart.objects.bulk_update(changed, ["is_asked", "cursor", "answered_at", "next_cursor"], batch_size=100)
