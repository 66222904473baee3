"""Questions that one of Django's queries cannot ask: over the rows of several, on both databases.

    rows = together([days, hours], "server", "tool", "errors")      SELECT … UNION ALL SELECT …, and its parameters
    answer(f"WITH rows (server, tool, errors) AS ({rows.sql}) …", rows.parameters)
    by_code_point("tool")                   as Python sorts strings, whatever the database's own order is
    whole("tool_calls")                     a sum that was made in floating point, as a whole number

Sums are made in floating point: PostgreSQL's of whole numbers is a decimal, which takes three times as long and twice
the room; up to 2^53 both say the same. Names come from models, never from data; values are parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Expression, QuerySet


class Statement(NamedTuple):
    """SQL, and the values of its placeholders."""

    sql: str
    parameters: tuple[Any, ...]


def together(parts: Iterable[QuerySet[Any, Any]], *columns: str | Expression) -> Statement:
    """All rows of `parts`, which may be of several models that have these columns."""
    statements = [part.values_list(*columns).order_by().query.sql_with_params() for part in parts]
    return joined(*(Statement(*each) for each in statements))


def joined(*statements: Statement) -> Statement:
    """The rows of all of them, with the first one's names."""
    sql = " UNION ALL ".join(each.sql for each in statements)
    return Statement(sql, tuple(value for each in statements for value in each.parameters))


def answer(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def by_code_point(column: str) -> str:
    """What to order by."""
    return f'{column} COLLATE "C"' if connection.vendor == "postgresql" else f"{column} COLLATE BINARY"


def sum_of(column: str) -> str:
    """The sum over a group, in floating point."""
    return f"SUM(CAST({column} AS double precision))"


def whole(column: str) -> str:
    """As a whole number."""
    return f"CAST({column} AS bigint)"
