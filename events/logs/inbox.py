"""The inbox as the log: a row a request, in the transaction that counted it, durable when that commits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connection

from events.log import Batch, Entry
from events.models import InboxEntry

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

_TABLE = InboxEntry._meta.db_table
_INSERT = f"""
    INSERT INTO {_TABLE} (customer_id, received_at, kind, encoding, events, skipped, attempts, retry_at, error, body)
    VALUES (%s, %s, %s, %s, %s, %s, 0, %s, '', %s)"""  # noqa: S608 - a table's name


class InboxLog:
    """Needs no address: it is in the database of everything else."""

    def __init__(self, url: str | None) -> None:
        self._url = url

    def keep(self, cursor: CursorWrapper, entries: Sequence[Entry]) -> None:
        adapted = connection.ops.adapt_datetimefield_value
        rows = []
        for entry in entries:
            moment = adapted(entry.received_at)
            rows.append((entry.customer_id, moment, *entry[2:6], moment, entry.body))
        cursor.executemany(_INSERT, rows)

    @contextmanager
    def taken(self) -> Iterator[Sequence[Batch]]:
        """Nothing: the drain claims the rows themselves (`events.inbox.claim`)."""
        yield ()

    def waiting(self) -> int | None:
        return 0

    def close(self) -> None:
        """There is nothing of its own."""
