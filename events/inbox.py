"""What is accepted waits here: one row a request, holding the body as it arrived. The answer 200 follows its commit.

    append(Draft(customer_id=7, received_at=now, kind="events", encoding="zstd", …))   → Outcome(…, used=4_900)
    claim(now=moment)     → the oldest rows to drain

Durable means: the database has flushed it. Neither a worker nor a broker has seen it yet, so neither can lose it.
With another log (`events.logs`) requests are appended to that one, and the rows here are those it could not store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Length

from events import logs, quotas, stores, wakeup
from events.group_commit import GroupCommit
from events.log import Entry
from events.models import InboxEntry
from events.turns import turn

MAX_CLAIMED_BYTES = 8 * 1024 * 1024  # of bodies as they arrived; one row may be larger, and then comes alone


@dataclass(frozen=True, slots=True)
class Draft:
    """A request that was judged. `ids` are its good events, stored id → index; `left_out` the indexes of the others."""

    customer_id: int
    received_at: datetime
    kind: str
    encoding: str
    body: bytes
    ids: Mapping[UUID, int]
    left_out: Sequence[int]
    repeats: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a draft. `used` is the day's count with it, `None` when it did not fit: then nothing was kept."""

    claim: quotas.Claim
    used: int | None


def append(draft: Draft) -> Outcome:
    """Commit `draft`. Raises `QuotaExceeded`, `LogUnavailable`, database errors."""
    outcome = _commits.submit(draft)
    if outcome.used is None:
        raise quotas.exceeded(outcome.claim, now=draft.received_at)
    return outcome


def claim(*, now: datetime) -> list[InboxEntry]:
    """The oldest rows that are due, not more than one transaction should hold.

    In a transaction on PostgreSQL nobody else gets them until its end. SQLite has no row locks: ask `are_there` before
    anything is written.
    """
    due = InboxEntry.objects.filter(retry_at__lte=now).order_by("id")
    if connection.features.has_select_for_update_skip_locked:
        due = due.select_for_update(skip_locked=True)
    sizes = due.annotate(size=Length("body")).values_list("id", "events", "size")[: stores.current().claimed_rows]
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
    most = stores.current().claimed_events
    events = size = 0
    for entry_id, entry_events, entry_size in sizes:
        events, size = events + entry_events, size + entry_size
        if ids and (events > most or size > MAX_CLAIMED_BYTES):
            break
        ids.append(entry_id)
    return ids


def _write(drafts: Sequence[Draft]) -> list[Outcome]:
    """Commit the drafts that fit their quota, each without what is stored already."""
    known = _known(drafts)
    stored = [[at for event_id, at in draft.ids.items() if event_id in known[draft.customer_id]] for draft in drafts]
    claims = [_claim(draft, len(there)) for draft, there in zip(drafts, stored, strict=True)]
    with turn(), transaction.atomic(), connection.cursor() as cursor:
        outcomes = list(map(Outcome, claims, quotas.reserve_all(cursor, claims)))
        entries = [
            _entry(draft, outcome.claim, there)
            for draft, outcome, there in zip(drafts, outcomes, stored, strict=True)
            if outcome.used is not None and outcome.claim.events
        ]
        if entries:
            logs.current().keep(cursor, entries)
    if entries:
        wakeup.drain_soon()
    return outcomes


def _claim(draft: Draft, stored: int) -> quotas.Claim:
    events = len(draft.ids) - stored
    return quotas.Claim(draft.customer_id, events, draft.limit, draft.received_at, draft.repeats + stored)


def _entry(draft: Draft, claim: quotas.Claim, stored: Sequence[int]) -> Entry:
    skipped = ",".join(map(str, sorted([*draft.left_out, *stored])))
    about = (draft.customer_id, draft.received_at, draft.kind, draft.encoding)
    return Entry(*about, claim.events, skipped, draft.body)


def _known(drafts: Sequence[Draft]) -> dict[int, set[UUID]]:
    """What is stored already of the drafts' events, by customer. A courtesy, so before anything is locked; asked for
    all of a group at once, because each question costs every thread of this process a turn at Python's lock."""
    ids: dict[int, list[UUID]] = {}
    for draft in drafts:
        ids.setdefault(draft.customer_id, []).extend(draft.ids)
    return {customer_id: stores.current().known(customer_id, wanted) for customer_id, wanted in ids.items()}


_commits: GroupCommit[Draft, Outcome] = GroupCommit(_write)
