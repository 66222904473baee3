"""The table of tools: what lists say there is, beside what was called, sorted by figures, a page at a time.

    listing = read(7, asked, at=moment)
    [(line.server, line.name, line.called.calls, line.p95_ms) for line in listing.lines]

A tool that was called and is in no list has a line as well, and one nobody called. The number of queries depends on
nothing that is shown; percentiles are read for the lines of one page, so there is no order by them: the mean stands in
for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.utils.safestring import SafeString

from dashboard.json_view import visible
from dashboard.tools_filter import Asked
from events import definitions_queries, tool_figures, tool_table
from events.definitions_queries import ServerRow
from events.tool_table import Called, Row, Server, Table, Wanted

TOOLS_PER_PAGE = 50
SERVERS_SHOWN = 20
_NO_CALLS = Server(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Line:
    """One tool. `defined_at` is when its definition was first seen; `None` for one that no list had."""

    row: Row
    p50_ms: float | None
    p95_ms: float | None
    defined_at: datetime | None

    @property
    def server(self) -> str:
        return self.row.server

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def shown(self) -> SafeString:
        return visible(self.row.name)

    @property
    def called(self) -> Called:
        return self.row.called


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
    open: int
    has_any: bool
    servers: list[ServerLine] = field(default_factory=list)
    all_servers: int = 0


def read(customer_id: int, asked: Asked, *, at: datetime, server: str | None = None) -> Listing:
    """The page that `asked` is about; with `server`, of this one alone. At most seven queries."""
    wanted = Wanted(asked.given["server"], asked.given["q"], asked.given["state"], asked.sort)
    table = tool_table.read(
        customer_id, asked.range, wanted, at=at, number=asked.page, size=TOOLS_PER_PAGE, server=server
    )
    listing = Listing(
        _lines(customer_id, asked, table, at),
        table.total,
        table.number,
        max(1, -(-table.total // TOOLS_PER_PAGE)),
        table.open,
        table.every > 0,
    )
    if server is not None:
        return listing
    servers = _servers(definitions_queries.servers(customer_id), table.servers)
    return replace(listing, servers=servers[:SERVERS_SHOWN], all_servers=len(servers))


def _lines(customer_id: int, asked: Asked, table: Table, at: datetime) -> list[Line]:
    """The page, with what is only read for one."""
    keys = [(row.server, row.name) for row in table.rows]
    percentiles = tool_figures.percentiles(customer_id, asked.range, keys, at=at)
    defined = definitions_queries.defined_at(customer_id, keys)
    lines = []
    for key, row in zip(keys, table.rows, strict=True):
        p50, p95 = percentiles.get(key, (None, None))
        lines.append(Line(row, p50, p95, defined.get(key)))
    return lines


def _servers(rows: Iterable[ServerRow], called: Mapping[str, Server]) -> list[ServerLine]:
    """Every server there is a list or a call of; those with changes to look at first, then the busiest."""
    known = {row.name: row for row in rows}
    found = []
    for name in {**called, **known}:
        of_server = called.get(name, _NO_CALLS)
        found.append(ServerLine(name, known.get(name), of_server.calls, of_server.errors, of_server.tools))
    return sorted(found, key=lambda each: (not (each.row and each.row.open), -each.calls, each.name))
