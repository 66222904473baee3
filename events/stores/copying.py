"""New rows into a table of PostgreSQL by COPY, as fast as there is, also where some of them are there already.

    EVENTS = CopiedTable("events_event", columns=("customer_id", "id", …), types=("int8", "uuid", …))
    EVENTS.insert(rows)     → None: all were new; else the keys (customer, id) of those that were

Nearly always all of them are new, and then one copy is all. Only when one of them is there already the copy is undone,
and repeated by way of a temporary table with `ON CONFLICT DO NOTHING`. Give rows in one order everywhere: then two
writers with the same rows wait for each other, never in a ring.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from psycopg.errors import CheckViolation

Result = TypeVar("Result")
Row = Sequence[Any]

MAX_ATTACHED = 10  # partitions that may come into being during one drain: more than are ever missing


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """A table whose unique key is (customer_id, id), its first two columns; `types` are what binary COPY is told."""

    name: str
    columns: Sequence[str]
    types: Sequence[str]

    def insert(self, rows: Sequence[Row]) -> set[tuple[int, UUID]] | None:
        """Add those of `rows` that are not there; `None` when that was all of them, else the keys of those it was."""
        try:
            _steadily(lambda: self._copy(self.name, rows))
        except IntegrityError:  # one of them is there already
            return _steadily(lambda: self._insert_by_stage(rows))
        return None

    def _insert_by_stage(self, rows: Sequence[Row]) -> set[tuple[int, UUID]]:
        """The same, past what is there: by a temporary table that ends with the transaction."""
        stage, columns = f"{self.name}_stage", ", ".join(self.columns)
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE {stage} (LIKE {self.name} INCLUDING DEFAULTS) ON COMMIT DROP")
            self._copy(stage, rows)
            cursor.execute(
                f"INSERT INTO {self.name} ({columns}) SELECT {columns} FROM {stage} ORDER BY id, customer_id "  # noqa: S608 - names of ours
                "ON CONFLICT (customer_id, id) DO NOTHING RETURNING customer_id, id"
            )
            new = set(cursor.fetchall())
            cursor.execute(f"DROP TABLE {stage}")
        return new

    def _copy(self, table: str, rows: Sequence[Row]) -> None:
        """Binary COPY: a quarter of the text form's work. Raises Django's database errors."""
        statement = f"COPY {table} ({', '.join(self.columns)}) FROM STDIN (FORMAT BINARY)"
        with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
            copy.set_types(self.types)
            for row in rows:
                copy.write_row(row)


def _steadily(write: Callable[[], Result]) -> Result:
    """What `write` returns, undone as a whole where it fails.

    A row that was on its way to the default partition when its own day was attached is refused by PostgreSQL ("violates
    partition constraint"): the next try finds its place.
    """
    left = MAX_ATTACHED
    while True:
        try:
            with transaction.atomic():
                return write()
        except IntegrityError as error:
            left -= 1
            if not left or not isinstance(error.__cause__, CheckViolation):
                raise
