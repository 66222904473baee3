"""The table of tools: what lists say there is, beside what was called; narrowed, ranked and paged by the database.

    found = read(7, RANGES["24h"], Wanted(state="failing", sort="errors"), at=moment, number=1, size=50)
    [(row.server, row.name, row.called.calls) for row in found.rows]      the page; the last one, if there are fewer
    found.total, found.servers                                            of all pages; of all tools, by server

A tool that was called and is in no list has a row as well, and one nobody called. A customer may have 10,000 tools:
they are summed, ranked and counted in one statement, and only the page's leave the database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Case, DateTimeField, F, IntegerField, Q, Value, When

from events import tool_figures
from events.definitions_models import Tool, ToolChange
from events.overview_queries import Range
from events.statements import Statement, answer, by_code_point, joined, sum_of, together, whole

_COLUMNS = ("server", "tool", "flags", "changed_at", "calls", "errors", "timed", "duration_ms")
_LISTED, _GONE, _NEW, _OPEN, _CHANGED = 1, 2, 4, 8, 16  # flags
_CONDITIONS: Mapping[str, str] = {
    "open": f"(flags & {_OPEN}) > 0",
    "changed": f"(flags & {_CHANGED}) > 0",
    "called": "calls > 0",
    "failing": "errors > 0",
    "uncalled": "calls = 0",
    "gone": f"(flags & {_GONE}) > 0",
    "unlisted": f"(flags & {_LISTED}) = 0",
}
_MEAN = "CASE WHEN timed > 0 THEN duration_ms / timed END"
_FIRST: Mapping[str, str] = {  # what is ordered by before the name
    "name": "",
    "calls": "calls DESC,",
    "errors": "errors DESC,",
    "rate": "CASE WHEN calls > 0 THEN errors / calls ELSE errors END DESC,",
    "slow": f"{_MEAN} DESC NULLS LAST,",
    "changed": "changed_at DESC NULLS LAST,",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the table is narrowed to (blank narrows nothing) and its order: one of `_CONDITIONS`, one of `_FIRST`."""

    server: str = ""
    words: str = ""
    state: str = ""
    sort: str = "calls"


class Called(NamedTuple):
    """Sums over a range. `mean_ms` is of the calls that were timed."""

    calls: int
    errors: int
    mean_ms: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One tool. `has_changed` in the range; `is_new`: its newest change is that it is there; `is_open`: it waits."""

    server: str
    name: str
    called: Called
    is_new: bool
    is_gone: bool
    is_open: bool
    has_changed: bool


@dataclass(frozen=True, slots=True)
class Server:
    """Of all its tools; `tools` are those not gone."""

    calls: int
    errors: int
    tools: int


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` are the page `number` of `total` found; `every` tool there is, `open` of them with a change that waits."""

    rows: list[Row]
    number: int
    total: int
    every: int
    open: int
    servers: dict[str, Server]


def read(
    customer_id: int, asked: Range, wanted: Wanted, *, at: datetime, number: int, size: int, server: str | None = None
) -> Table:
    """Page `number`, from 1, of `size` rows; with `server`, of this one's tools alone. One statement; another one where
    words are found in names beyond ASCII, and another one where there are fewer pages."""
    rows, place = _sources(customer_id, asked, at, server), (size, (number - 1) * size)
    found = _answer(rows, wanted, (), place)
    if beyond := [row[2] for row in found if row[0] == "beyond" and wanted.words.casefold() in row[2].casefold()]:
        found = _answer(rows, wanted, beyond, place)
    _, _, _, total, every, is_open, _, _ = next(row for row in found if row[0] == "all")
    if total and number > (last := -(-total // size)):
        return read(customer_id, asked, wanted, at=at, number=last, size=size, server=server)
    page = sorted((row for row in found if row[0] == "page"), key=lambda row: row[7])
    servers = {row[1]: Server(row[4], row[5], row[3]) for row in found if row[0] == "server"}
    return Table([_row(row) for row in page], number if total else 1, total, every, is_open or 0, servers)


def _sources(customer_id: int, asked: Range, at: datetime, server: str | None) -> Statement:
    """`_COLUMNS` of what is listed, then of what was called: several rows of a tool, to be summed up."""
    tools, calls = Tool.objects.filter(customer_id=customer_id), tool_figures.calls(customer_id, asked, at=at)
    if server is not None:
        tools, calls = tools.filter(server__name=server), calls.filter(server=server)
    waiting = ToolChange.objects.filter(customer_id=customer_id, accepted_at=None)
    flags = (
        Value(_LISTED)
        + _flag(_GONE, Q(last_seen__lt=F("server__listed_at")))
        + _flag(_NEW, Q(changed_at=F("first_seen")))
        + _flag(_OPEN, Q(pk__in=waiting.values("tool_id")))
        + _flag(_CHANGED, Q(changed_at__gte=asked.begins(at)))
    )
    nothing = Value(0, IntegerField())
    listed = together([tools], "server__name", "name", flags, "changed_at", nothing, nothing, nothing, nothing)
    never = Value(None, DateTimeField())
    called = together([calls], "server", "tool", nothing, never, "requests", "errors", "timed", "duration_ms")
    return joined(listed, called)


def _flag(value: int, condition: Q) -> Case:
    return Case(When(condition, then=Value(value)), default=Value(0), output_field=IntegerField())


def _answer(rows: Statement, wanted: Wanted, beyond: Sequence[str], place: tuple[int, int]) -> list[tuple[Any, ...]]:
    sql, parameters = _statement(rows, _condition(wanted, beyond), wanted)
    return answer(sql, (*parameters, *place))


def _condition(wanted: Wanted, beyond: Sequence[str]) -> Statement:
    """What a tool of the table holds to; with words, one of the names `beyond` ASCII does as well."""
    parts = [_CONDITIONS[wanted.state]] if wanted.state else []
    parameters: list[Any] = []
    if wanted.server:
        parts.append("server = %s")
        parameters.append(wanted.server)
    if words := wanted.words.casefold():
        parts.append(f"({_is_ascii()} AND {_holds()} OR tool IN ({_of_a_list()}))")
        parameters += [words, json.dumps(beyond)]
    return Statement(" AND ".join(parts) or "1 = 1", tuple(parameters))


def _is_ascii() -> str:
    is_postgresql = connection.vendor == "postgresql"
    return "octet_length(tool) = char_length(tool)" if is_postgresql else "length(CAST(tool AS blob)) = length(tool)"


def _holds() -> str:
    """That a name of ASCII, where the databases fold as Python does, has the words of the placeholder in it."""
    is_postgresql = connection.vendor == "postgresql"
    return 'strpos(lower(tool COLLATE "C"), %s) > 0' if is_postgresql else "instr(lower(tool), %s) > 0"


def _of_a_list() -> str:
    """The texts of a JSON list: one placeholder however many they are."""
    is_postgresql = connection.vendor == "postgresql"
    return "SELECT json_array_elements_text(%s::json)" if is_postgresql else "SELECT value FROM json_each(%s)"


def _statement(rows: Statement, condition: Statement, wanted: Wanted) -> Statement:
    """(what, server, tool, flags or a count, calls, errors, mean, place): the page, every server, and one row of all:
    how many were found, there are, and wait; with words also the names beyond ASCII, whose letters only Python folds.
    The last parameters are the page's size and where it begins."""
    sums = ", ".join(f"{sum_of(name)} AS {name}" for name in _COLUMNS[4:])
    order = f"{_FIRST[wanted.sort]} {by_code_point('tool')}, {by_code_point('server')}"
    calls, errors = whole("calls"), whole("errors")
    names = "SELECT 'beyond', '', tool, 0, 0, 0, 0, 0 FROM every"
    beyond = f"UNION ALL {names} WHERE NOT {_is_ascii()}" if wanted.words else ""
    sql = f"""
        WITH rows ({", ".join(_COLUMNS)}) AS ({rows.sql}),
        every AS (SELECT server, tool, MAX(flags) AS flags, MAX(changed_at) AS changed_at, {sums}
            FROM rows GROUP BY server, tool),
        found AS (SELECT * FROM every WHERE {condition.sql}),
        page AS (SELECT * FROM found ORDER BY {order} LIMIT %s OFFSET %s)
        SELECT 'page', server, tool, flags, {calls}, {errors}, {_MEAN}, ROW_NUMBER() OVER (ORDER BY {order}) FROM page
        UNION ALL SELECT 'server', server, '', SUM(CASE WHEN (flags & {_GONE}) > 0 THEN 0 ELSE 1 END),
            {whole("SUM(calls)")}, {whole("SUM(errors)")}, 0, 0 FROM every GROUP BY server
        UNION ALL SELECT 'all', '', '', (SELECT COUNT(*) FROM found),
            COUNT(*), SUM(CASE WHEN (flags & {_OPEN}) > 0 THEN 1 ELSE 0 END), 0, 0 FROM every
        {beyond}"""  # noqa: S608 - see `events.statements`
    return Statement(sql, (*rows.parameters, *condition.parameters))


def _row(row: tuple[Any, ...]) -> Row:
    _, server, name, flags, calls, errors, mean, _ = row
    is_new, is_gone, is_open, has_changed = (bool(flags & each) for each in (_NEW, _GONE, _OPEN, _CHANGED))
    return Row(server, name, Called(calls, errors, mean), is_new, is_gone, is_open, has_changed)
