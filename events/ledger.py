"""Which batches of a log outside of the database are in the database: what makes a second delivery a matter of course.

    with transaction.atomic():
        fresh = enter(batches, now=moment)     → those that were not drained before; entered in this transaction
    forget(before=moment)                      → how many entries that no delivery refers to any more are gone

A worker that dies between its commit and its acknowledgement gets the batch again, or another worker does. Whoever
drains the same batch at the same time waits here for the other's commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import connection
from django.db.models import UUIDField

from events.log import Batch
from events.models import DrainedBatch
from events.turns import turn

CHUNK_ROWS = 5_000

_TABLE = DrainedBatch._meta.db_table
_ID = UUIDField()  # text on SQLite


def enter(batches: Sequence[Batch], *, now: datetime) -> list[Batch]:
    """Those of `batches` that were not entered yet, each once. In a transaction, before it writes anything else."""
    by_id = {_ID.get_db_prep_value(batch.id, connection): batch for batch in batches}
    at = connection.ops.adapt_datetimefield_value(now)
    values = ", ".join(["(%s, %s)"] * len(by_id))
    # in one order, as every other writer of several rows: two that meet in another order wait for ever
    parameters = [value for key in sorted(by_id) for value in (key, at)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {_TABLE} (id, at) VALUES {values} ON CONFLICT (id) DO NOTHING RETURNING id",  # noqa: S608 - a table's name
            parameters,
        )
        fresh = {_ID.to_python(row[0]) for row in cursor.fetchall()}
    return [batch for batch in by_id.values() if batch.id in fresh]


def forget(*, before: datetime, pause: Callable[[], None]) -> int:
    """Delete what was entered before `before`, in small transactions; how many those were."""
    total = 0
    while True:
        old = DrainedBatch.objects.filter(at__lt=before).order_by("at").values_list("pk")[:CHUNK_ROWS]
        with turn():
            deleted, _ = DrainedBatch.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()
        total += deleted
        if deleted < CHUNK_ROWS:
            return total
        pause()
