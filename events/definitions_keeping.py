"""The hook of the drain: what servers say of their tools becomes rows, in the transaction that stores the events.

    stored_hooks.on_stored(definitions_keeping.keep)

Everything is a minimum, a maximum or a set of what was seen, by the events' own time, so the rows are the same whatever
order the events come in; and only new events come here, so none is seen twice. An event about anything else costs a
comparison. Nothing in a message makes this raise: a list that cannot be read is noted at its server, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from core import shared_clock
from events import definitions_changes, definitions_parts
from events.definitions_models import Tool, ToolDefinition, ToolServer
from events.definitions_reading import ANNOUNCED, MAX_TOOLS, Definition, Page, Unreadable, is_about_tools, page_of
from events.models import Session
from events.store import NewEvent

ROWS_A_STATEMENT = 500
Row = TypeVar("Row")
Key = tuple[str, str]
"""(tool, digest)"""
Versions = Mapping[tuple[int, str], str]
"""By (customer, session)"""


@dataclass(slots=True)
class _Sighting:
    """A definition in this drain's lists: the event that had it first, and when the last one had it."""

    definition: Definition
    first: NewEvent
    last_at: datetime


def keep(events: Sequence[NewEvent]) -> None:
    """Inside the drain's transaction: `events` are new."""
    about = [event for event in events if is_about_tools(event)]
    if not about:
        return
    moment, versions = shared_clock.now(), _versions(about)
    by_server: dict[tuple[int, str], list[NewEvent]] = {}
    for event in about:
        by_server.setdefault((event.customer_id, event.server[0]), []).append(event)
    for key in sorted(by_server):  # in one order, so that two drains never wait for each other in a ring
        _keep_of(key, by_server[key], versions, moment)


def _keep_of(key: tuple[int, str], events: list[NewEvent], versions: Versions, moment: datetime) -> None:
    """What one server's `events` say."""
    server = _locked(key, events)
    pages = _pages(server, events)
    touched = _see(server, _sightings(events, pages), versions)
    whole = {event_id: page for event_id, page in pages.items() if not page.left_out}
    newly_known = _listed(server, definitions_parts.completed(server, events, whole, at=moment))
    server.save()
    definitions_changes.settle(server, touched, all_tools=newly_known, at=moment)


def _versions(events: Iterable[NewEvent]) -> Versions:
    """What its server said its version is, where the events leave it out."""
    lacking = {event.session_id for event in events if not event.server[1] and event.session_id}
    if not lacking:
        return {}
    found = Session.objects.filter(session_id__in=lacking, customer_id__in={event.customer_id for event in events})
    rows = found.values_list("customer_id", "session_id", "server_version")
    return {row[:2]: row[2] for row in rows}


def _locked(key: tuple[int, str], events: list[NewEvent]) -> ToolServer:
    """The server's row, locked, its moments widened by `events`; not saved yet."""
    first, last = min(event.timestamp for event in events), max(event.timestamp for event in events)
    fresh = ToolServer(customer_id=key[0], name=key[1], first_seen=first, last_seen=last)
    ToolServer.objects.bulk_create([fresh], ignore_conflicts=True)
    server = ToolServer.objects.select_for_update().get(customer_id=key[0], name=key[1])
    server.first_seen, server.last_seen = min(server.first_seen, first), max(server.last_seen, last)
    for event in events:
        if event.method == ANNOUNCED:
            server.announced_at = max(server.announced_at or event.timestamp, event.timestamp)
    return server


def _pages(server: ToolServer, events: Iterable[NewEvent]) -> dict[UUID, Page]:
    """The answers that could be read; of the others the server's row says so."""
    pages: dict[UUID, Page] = {}
    for event in events:
        if event.type != "response" or event.method == ANNOUNCED:
            continue
        try:
            page = page_of(event)
        except Unreadable as error:
            if event.method:  # of one without, nobody said that it is a list
                _note(server, event, str(error))
            continue
        if page is not None:
            pages[event.id] = page
        if page is not None and page.left_out:
            _note(server, event, page.left_out)
    return pages


def _note(server: ToolServer, event: NewEvent, why: str) -> None:
    if server.unread_at is None or server.unread_at <= event.timestamp:
        server.unread_at, server.unread_why = event.timestamp, why


def _sightings(events: Iterable[NewEvent], pages: Mapping[UUID, Page]) -> dict[Key, _Sighting]:
    seen: dict[Key, _Sighting] = {}
    for event in events:
        page = pages.get(event.id)
        for definition in page.tools if page else ():
            sighting = seen.setdefault(
                (definition.name, definition.digest), _Sighting(definition, event, event.timestamp)
            )
            sighting.last_at = max(sighting.last_at, event.timestamp)
            if event.timestamp < sighting.first.timestamp:
                sighting.first = event
    return seen


def _see(server: ToolServer, seen: Mapping[Key, _Sighting], versions: Versions) -> set[int]:
    """Write the sightings down. Returns the tools that have a definition more, or one from earlier."""
    tools = _tools(server, seen)
    known = _known(tool.pk for tool in tools.values())
    fresh, earlier, later = [], [], dict[datetime, list[int]]()
    for (name, digest), sighting in seen.items():
        tool = tools.get(name)
        if tool is None:
            continue  # there was no room for it
        row = known.get((tool.pk, digest))
        if row is None:
            fresh.append(_row(ToolDefinition(tool=tool), sighting, versions))
            continue
        if sighting.last_at > row.last_seen:
            later.setdefault(sighting.last_at, []).append(row.pk)
        if sighting.first.timestamp < row.first_seen:
            earlier.append(_row(row, sighting, versions))
    ToolDefinition.objects.bulk_create(fresh, batch_size=ROWS_A_STATEMENT)
    moved = ["first_seen", "server_version", "session_id", "event_id"]
    ToolDefinition.objects.bulk_update(earlier, moved, batch_size=ROWS_A_STATEMENT)
    for at, ids in later.items():
        for part in _chunks(ids):
            ToolDefinition.objects.filter(pk__in=part).update(last_seen=at)
    return {row.tool_id for row in (*fresh, *earlier)}


def _row(row: ToolDefinition, sighting: _Sighting, versions: Versions) -> ToolDefinition:
    """`row` with what its first sighting says; a new one with all of it."""
    first = sighting.first
    row.first_seen, row.session_id, row.event_id = first.timestamp, first.session_id, first.id
    row.server_version = first.server[1] or versions.get((first.customer_id, first.session_id), "")
    if row.pk is None:
        told = sighting.definition
        row.customer_id, row.digest, row.body = first.customer_id, told.digest, told.body
        row.size, row.is_cut, row.last_seen = told.size, told.is_cut, sighting.last_at
    return row


def _tools(server: ToolServer, seen: Mapping[Key, _Sighting]) -> dict[str, Tool]:
    """The rows of the tools that were seen, by name, their moments widened. New ones only while there is room."""
    spans: dict[str, tuple[datetime, datetime]] = {}
    for (name, _), sighting in seen.items():
        first, last = spans.get(name, (sighting.first.timestamp, sighting.last_at))
        spans[name] = min(first, sighting.first.timestamp), max(last, sighting.last_at)
    tools: dict[str, Tool] = {}
    for part in _chunks(list(spans)):
        tools |= {tool.name: tool for tool in Tool.objects.filter(server=server, name__in=part)}
    _widen(tools, spans)
    missing = [name for name in spans if name not in tools]
    if missing:
        room = MAX_TOOLS - Tool.objects.filter(server=server).count()
        rows = [
            Tool(server=server, customer_id=server.customer_id, name=name, first_seen=first, last_seen=last)
            for name, (first, last) in ((name, spans[name]) for name in missing[: max(0, room)])
        ]
        tools |= {tool.name: tool for tool in Tool.objects.bulk_create(rows, batch_size=ROWS_A_STATEMENT)}
        if len(missing) > room:
            server.unread_at, server.unread_why = server.last_seen, f"it has more than {MAX_TOOLS:,} tools"
    return tools


def _widen(tools: Mapping[str, Tool], spans: Mapping[str, tuple[datetime, datetime]]) -> None:
    later: dict[datetime, list[int]] = {}
    earlier: dict[datetime, list[int]] = {}
    for name, tool in tools.items():
        first, last = spans[name]
        if last > tool.last_seen:
            later.setdefault(last, []).append(tool.pk)
        if first < tool.first_seen:
            earlier.setdefault(first, []).append(tool.pk)
    for field, moments in (("last_seen", later), ("first_seen", earlier)):
        for at, ids in moments.items():
            for part in _chunks(ids):
                Tool.objects.filter(pk__in=part).update(**{field: at})


def _known(tools: Iterable[int]) -> dict[tuple[int, str], ToolDefinition]:
    """The definitions of `tools`, without their bodies."""
    found: dict[tuple[int, str], ToolDefinition] = {}
    for part in _chunks(list(tools)):
        rows = ToolDefinition.objects.filter(tool__in=part).defer("body")
        found |= {(row.tool_id, row.digest): row for row in rows}
    return found


def _listed(server: ToolServer, lists: Sequence[definitions_parts.List]) -> bool:
    """Note complete `lists`. Returns whether the server is known from earlier on than it was."""
    before = server.known_since
    for each in lists:
        server.listed_at = max(server.listed_at or each.began, each.began)
        server.known_since = min(server.known_since or each.ended, each.ended)
    return server.known_since != before


def _chunks(rows: Sequence[Row]) -> Iterable[Sequence[Row]]:
    for start in range(0, len(rows), ROWS_A_STATEMENT):
        yield rows[start : start + ROWS_A_STATEMENT]
