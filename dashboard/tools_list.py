"""The table of tools: what lists say there is, beside what was called, sorted by figures, a page at a time.

    listing = read(7, asked, at=moment)
    [(line.server, line.name, line.called.calls, line.p95_ms) for line in listing.lines]

A tool that was called and is in no list has a line as well, and one nobody called. The number of queries depends on
nothing; percentiles are read for the lines of one page, so there is no order by them: the mean stands in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from django.utils.safestring import SafeString

from dashboard.json_view import visible
from dashboard.tools_filter import Asked
from events import definitions_queries, tool_figures
from events.definitions_queries import ServerRow, ToolRow
from events.tool_figures import Called, Key

TOOLS_PER_PAGE = 50
SERVERS_SHOWN = 20
_NOT_CALLED = Called()


class Line(NamedTuple):
    """One tool. `row` is `None` for one that no list had; `defined_at` is when its definition was first seen."""

    server: str
    name: str
    row: ToolRow | None
    called: Called
    has_changed: bool
    p50_ms: float | None = None
    p95_ms: float | None = None
    defined_at: datetime | None = None

    @property
    def shown(self) -> SafeString:
        return visible(self.name)

    @property
    def is_open(self) -> bool:
        return self.row is not None and self.row.is_open

    @property
    def is_gone(self) -> bool:
        return self.row is not None and self.row.is_gone


@dataclass(frozen=True, slots=True)
class ServerLine:
    """One server. `row` is `None` for one that was never asked for its tools."""

    name: str
    row: ServerRow | None
    calls: int
    errors: int
    tools: int

    @property
    def shown(self) -> SafeString:
        return visible(self.name)


@dataclass(frozen=True, slots=True)
class Listing:
    """`total` tools are found, of which `lines` are a page; `servers` are the busiest, of `all_servers`."""

    lines: list[Line]
    total: int
    page: int
    pages: int
    servers: list[ServerLine] = field(default_factory=list)
    all_servers: int = 0
    open: int = 0
    has_any: bool = False


def read(customer_id: int, asked: Asked, *, at: datetime, server: str | None = None) -> Listing:
    """The page that `asked` is about; with `server`, of this one alone. Seven queries, or six."""
    called = tool_figures.called(customer_id, asked.range, at=at, server=server)
    rows = {row[:2]: row for row in definitions_queries.tools(customer_id, server=server)}
    every = _Every(rows, called, asked.range.begins(at))
    found = every.ordered(_wanted(every, asked), asked.sort)
    pages = max(1, -(-len(found) // TOOLS_PER_PAGE))
    page = min(asked.page, pages)
    lines = [every.line(key) for key in found[(page - 1) * TOOLS_PER_PAGE : page * TOOLS_PER_PAGE]]
    shown = _filled(customer_id, asked, lines, at)
    is_open = sum(row.is_open for row in rows.values())
    listing = Listing(shown, len(found), page, pages, open=is_open, has_any=bool(rows or called))
    if server is not None:
        return listing
    servers = _servers(definitions_queries.servers(customer_id), every)
    return replace(listing, servers=servers[:SERVERS_SHOWN], all_servers=len(servers))


@dataclass(frozen=True, slots=True)
class _Every:
    """All tools by their keys. Lines are made for one page: to make ten thousand takes longer than to sort them."""

    rows: Mapping[Key, ToolRow]
    called: Mapping[Key, Called]
    since: datetime

    def keys(self) -> list[Key]:
        return [*self.rows, *(key for key in self.called if key not in self.rows)]

    def line(self, key: Key) -> Line:
        return Line(*key, self.rows.get(key), self.called.get(key, _NOT_CALLED), self.has_changed(key))

    def has_changed(self, key: Key) -> bool:
        row = self.rows.get(key)
        return row is not None and row.changed_at is not None and row.changed_at >= self.since

    def ordered(self, keys: Iterable[Key], sort: str) -> list[Key]:
        """By what they are worth, then by name."""
        worth, found = _WORTH[sort], sorted(keys, key=itemgetter(1, 0))
        if worth is None:
            return found
        rows, called = self.rows, self.called
        values = {key: worth(rows.get(key), called.get(key, _NOT_CALLED)) for key in found}
        return sorted(found, key=values.__getitem__, reverse=True)  # which keeps the order of equals


def _wanted(every: _Every, asked: Asked) -> list[Key]:
    server, words, state = asked.given["server"], asked.given["q"].casefold(), asked.given["state"]
    keys = every.keys()
    if server:
        keys = [key for key in keys if key[0] == server]
    if words:
        keys = [key for key in keys if words in key[1].casefold()]
    return [key for key in keys if _STATES[state](every, key)] if state else keys


def _called(every: _Every, key: Key) -> Called:
    return every.called.get(key, _NOT_CALLED)


_STATES: dict[str, Callable[[_Every, Key], bool]] = {
    "open": lambda every, key: every.line(key).is_open,
    "changed": lambda every, key: every.has_changed(key),
    "called": lambda every, key: _called(every, key).calls > 0,
    "failing": lambda every, key: _called(every, key).errors > 0,
    "uncalled": lambda every, key: not _called(every, key).calls,
    "gone": lambda every, key: every.line(key).is_gone,
    "unlisted": lambda every, key: key not in every.rows,
}
_WORTH: dict[str, Callable[[ToolRow | None, Called], float] | None] = {
    "name": None,
    "calls": lambda row, called: called.calls,  # noqa: ARG005
    "errors": lambda row, called: called.errors,  # noqa: ARG005
    "rate": lambda row, called: called.errors / (called.calls or 1),  # noqa: ARG005
    "slow": lambda row, called: called.mean_ms or 0,  # noqa: ARG005
    "changed": lambda row, called: row.changed_at.timestamp() if row and row.changed_at else 0,  # noqa: ARG005
}


def _filled(customer_id: int, asked: Asked, lines: list[Line], at: datetime) -> list[Line]:
    """`lines` with what is only read for a page of them."""
    keys = [(line.server, line.name) for line in lines]
    percentiles = tool_figures.percentiles(customer_id, asked.range, keys, at=at)
    defined = definitions_queries.defined_at(customer_id, keys)
    filled = []
    for key, line in zip(keys, lines, strict=True):
        p50, p95 = percentiles.get(key, (None, None))
        filled.append(line._replace(p50_ms=p50, p95_ms=p95, defined_at=defined.get(key)))
    return filled


def _servers(rows: Iterable[ServerRow], every: _Every) -> list[ServerLine]:
    """Every server there is a list or a call of; those with changes to look at first, then the busiest."""
    known = {row.name: row for row in rows}
    sums: dict[str, list[int]] = {name: [0, 0, 0] for name in known}
    for key, called in every.called.items():
        total = sums.setdefault(key[0], [0, 0, 0])
        total[0] += called.calls
        total[1] += called.errors
        total[2] += key not in every.rows
    for row in every.rows.values():
        sums.setdefault(row.server, [0, 0, 0])[2] += not row.is_gone
    found = [ServerLine(name, known.get(name), *total) for name, total in sums.items()]
    return sorted(found, key=lambda each: (not (each.row and each.row.open), -each.calls, each.name))
