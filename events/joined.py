"""Aggregates that Django has not, on both databases: what a group's rows hold, joined into one value.

    rows.values_list("at").annotate(Joined("histogram"))        bytes: encoded histograms one behind the other, which
                                                                `Histogram.merge` reads as their sum
    rows.values_list("at").annotate(Listed(bucket))             "65,66,65": whole numbers, those that are NULL left out
    rows.values_list("server").annotate(whole_sum("events"))    a sum that stays a whole number of the database's

So that thousands of rows come from the database as some dozens.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Aggregate, BigIntegerField, BinaryField, IntegerField, Sum, TextField
from django.db.models.functions import Cast


class Joined(Aggregate):
    """Of a binary column, in any order."""

    function = "string_agg"
    template = "%(function)s(%(expressions)s, ''::bytea)"
    output_field = BinaryField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return super().as_sql(
            compiler, connection, function=_OF_SQLITE, template="%(function)s(%(expressions)s)", **context
        )


class Listed(Aggregate):
    """Of numbers, in any order; `None` where all are NULL."""

    function = "string_agg"
    template = "%(function)s(%(expressions)s::text, ',')"
    output_field = TextField()

    def __init__(self, number: Any, **extra: Any) -> None:
        super().__init__(Cast(number, IntegerField()), **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return super().as_sql(
            compiler, connection, function="group_concat", template="%(function)s(%(expressions)s)", **context
        )


def whole_sum(name: str) -> Cast:
    """The sum of a column of whole numbers. PostgreSQL's own is a decimal, which takes four times as long to read."""
    return Cast(Sum(name), BigIntegerField())


_OF_SQLITE = "km_joined"


class _Joining:
    """SQLite's own `group_concat` takes bytes for text, which ends at the first zero."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def step(self, part: bytes | None) -> None:
        self._parts.append(part or b"")

    def finalize(self) -> bytes:
        return b"".join(self._parts)


def teach(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Django's signal `connection_created`: SQLite learns to join bytes."""
    if connection.vendor == "sqlite":
        connection.connection.create_aggregate(_OF_SQLITE, 1, _Joining)
