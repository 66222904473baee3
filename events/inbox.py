"""The inbox: one row a request, holding the body as it arrived. The answer 200 follows the commit of that row.

    append(Draft(customer_id=7, received_at=now, kind="events", encoding="zstd", events=100, …))   → the day's count
    claim(now=moment)     → the oldest rows to drain

Durable means: the database has flushed it. Neither a worker nor a broker has seen it yet, so neither can lose it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection, transaction
from django.db.models.functions import Length

from events import quotas, wakeup
from events.group_commit import GroupCommit
from events.models import InboxEntry
from events.turns import turn

MAX_CLAIMED_ROWS = 200
MAX_CLAIMED_EVENTS = 250  # keeps SQLite's one write lock below some 15 ms, between which requests get their turn
MAX_CLAIMED_BYTES = 8 * 1024 * 1024  # of bodies as they arrived; one row may be larger, and then comes alone

_TABLE = InboxEntry._meta.db_table
_INSERT = f"""
    INSERT INTO {_TABLE} (customer_id, received_at, kind, encoding, events, skipped, attempts, retry_at, error, body)
    VALUES (%s, %s, %s, %s, %s, %s, 0, %s, '', %s)"""  # noqa: S608 - a table's name


@dataclass(frozen=True, slots=True)
class Draft:
    """A request that was judged: what to keep of it, and what it claims of the quota."""

    customer_id: int
    received_at: datetime
    kind: str
    encoding: str
    body: bytes
    events: int
    skipped: str
    duplicates: int
    limit: int | None

    @property
    def claim(self) -> quotas.Claim:
        return quotas.Claim(self.customer_id, self.events, self.limit, self.duplicates)


def append(draft: Draft) -> int:
    """Commit `draft`, and say how much of the day's quota is used. Raises `QuotaExceeded`, database errors."""
    used = _commits.submit(draft)
    if used is None:
        raise quotas.exceeded(draft.claim, now=draft.received_at)
    return used


def claim(*, now: datetime) -> list[InboxEntry]:
    """The oldest rows that are due, not more than one transaction should hold.

    In a transaction on PostgreSQL nobody else gets them until its end. SQLite has no row locks: ask `are_there` before
    anything is written.
    """
    due = InboxEntry.objects.filter(retry_at__lte=now).order_by("id")
    if connection.features.has_select_for_update_skip_locked:
        due = due.select_for_update(skip_locked=True)
    sizes = due.annotate(size=Length("body")).values_list("id", "events", "size")[:MAX_CLAIMED_ROWS]
    return list(InboxEntry.objects.filter(id__in=_fitting(list(sizes))).order_by("id"))


def are_there(entries: Sequence[InboxEntry]) -> bool:
    """Whether all `entries` are still to be drained; then nobody else drains them in this transaction."""
    ids = [entry.pk for entry in entries]
    return len(InboxEntry.objects.select_for_update().filter(pk__in=ids).values_list("pk")) == len(ids)


def remove(entries: Sequence[InboxEntry]) -> None:
    """They are stored now, in this transaction."""
    InboxEntry.objects.filter(id__in=[entry.pk for entry in entries]).delete()


def _fitting(sizes: Sequence[tuple[int, int, int]]) -> list[int]:
    """The ids of the first rows that together stay below the limits; always at least one."""
    ids: list[int] = []
    events = size = 0
    for entry_id, entry_events, entry_size in sizes:
        events, size = events + entry_events, size + entry_size
        if ids and (events > MAX_CLAIMED_EVENTS or size > MAX_CLAIMED_BYTES):
            break
        ids.append(entry_id)
    return ids


def _write(drafts: Sequence[Draft]) -> list[int | None]:
    """Commit the drafts that fit their quota; the count of the day for each, `None` for one that did not fit."""
    adapt = connection.ops.adapt_datetimefield_value
    with turn(), transaction.atomic(), connection.cursor() as cursor:
        used = [quotas.reserve(cursor, draft.claim, day=draft.received_at.astimezone(UTC).date()) for draft in drafts]
        rows = [
            (
                draft.customer_id,
                moment := adapt(draft.received_at),
                draft.kind,
                draft.encoding,
                draft.events,
                draft.skipped,
                moment,
                draft.body,
            )
            for draft, count in zip(drafts, used, strict=True)
            if count is not None and draft.events
        ]
        cursor.executemany(_INSERT, rows)
    if rows:
        wakeup.drain_soon()
    return used


_commits: GroupCommit[Draft, int | None] = GroupCommit(_write)
