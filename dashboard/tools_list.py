"""The table of tools: what lists say there is, beside what was called, sorted by figures, a page at a time.

    listing = read(7, asked, at=moment)
    [(line.server, line.name, line.called.calls, line.p95_ms) for line in listing.lines]

A tool that was called and is in no list has a line as well, and one nobody called. The number of queries depends on
nothing; percentiles are read for the lines of one page, so there is no order by them: the mean stands in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from django.utils.safestring import SafeString

from dashboard.json_view import visible
from dashboard.tools_filter import Asked
from events import definitions_queries, tool_figures
from events.definitions_queries import ServerRow, ToolRow
from events.tool_figures import Called

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
    rows = {(row.server, row.name): row for row in definitions_queries.tools(customer_id, server=server)}
    since = asked.range.begins(at)
    every = [_line(key, rows.get(key), called.get(key), since) for key in rows | called]
    found = sorted(filter(_wanted(asked), every), key=_ORDERS[asked.sort])
    pages = max(1, -(-len(found) // TOOLS_PER_PAGE))
    page = min(asked.page, pages)
    shown = _filled(customer_id, asked, found[(page - 1) * TOOLS_PER_PAGE : page * TOOLS_PER_PAGE], at)
    listing = Listing(shown, len(found), page, pages, open=sum(line.is_open for line in every), has_any=bool(every))
    if server is not None:
        return listing
    servers = _servers(definitions_queries.servers(customer_id), every)
    return replace(listing, servers=servers[:SERVERS_SHOWN], all_servers=len(servers))


def _line(key: tuple[str, str], row: ToolRow | None, called: Called | None, since: datetime) -> Line:
    has_changed = row is not None and row.changed_at is not None and row.changed_at >= since
    return Line(*key, row, called or _NOT_CALLED, has_changed)


def _wanted(asked: Asked) -> Callable[[Line], bool]:
    server, words, state = asked.given["server"], asked.given["q"].casefold(), _STATES[asked.given["state"]]
    return lambda line: (
        (not server or line.server == server) and (not words or words in line.name.casefold()) and state(line)
    )


_STATES: dict[str, Callable[[Line], bool]] = {
    "": lambda line: True,  # noqa: ARG005
    "open": lambda line: line.is_open,
    "changed": lambda line: line.has_changed,
    "called": lambda line: line.called.calls > 0,
    "failing": lambda line: line.called.errors > 0,
    "uncalled": lambda line: not line.called.calls,
    "gone": lambda line: line.is_gone,
    "unlisted": lambda line: line.row is None,
}


def _by(worth: Callable[[Line], float]) -> Callable[[Line], Any]:
    return lambda line: (-worth(line), line.name, line.server)


_ORDERS: dict[str, Callable[[Line], Any]] = {
    "name": lambda line: (line.name, line.server),
    "calls": _by(lambda line: line.called.calls),
    "errors": _by(lambda line: line.called.errors),
    "rate": _by(lambda line: line.called.errors / (line.called.calls or 1)),
    "slow": _by(lambda line: line.called.mean_ms or 0),
    "changed": _by(lambda line: line.row.changed_at.timestamp() if line.row and line.row.changed_at else 0),
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


def _servers(rows: Iterable[ServerRow], lines: Iterable[Line]) -> list[ServerLine]:
    """Every server there is a list or a call of; those with changes to look at first, then the busiest."""
    known = {row.name: row for row in rows}
    sums: dict[str, list[int]] = {name: [0, 0, 0] for name in known}
    for line in lines:
        total = sums.setdefault(line.server, [0, 0, 0])
        total[0] += line.called.calls
        total[1] += line.called.errors
        total[2] += not line.is_gone
    found = [ServerLine(name, known.get(name), *total) for name, total in sums.items()]
    return sorted(found, key=lambda each: (not (each.row and each.row.open), -each.calls, each.name))
