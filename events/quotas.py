"""How much a customer may still send today: one counter a customer and UTC day, moved by one statement.

    used = reserve(cursor, Claim(customer_id=7, events=100, limit=100_000), at=moment)
    → 4_800, the day's count with these; or None: over the limit, and nothing was counted

The statement adds and compares at once, so no two processes can both take the last place. It runs in the transaction
that writes the inbox row: what is counted is durable and what is refused is not. The drain gives back what turns out
to be stored already, so a retry costs nothing in the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import ceil
from typing import TYPE_CHECKING

from django.db import connection

from customers import usage
from events.errors import QuotaExceeded
from events.models import DailyUsage, InboxEntry
from events.upserts import adding

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

NO_LIMIT = 2**62  # a contract without a limit: compared as every other, never reached

_SUMS = ("accepted", "stored", "duplicates", "refused", "bytes")
_ACCEPTED, _STORED, _DUPLICATES, _REFUSED, _BYTES = range(len(_SUMS))
_COUNT = adding(DailyUsage, ("customer_id", "day"), _SUMS)
_RESERVE = f"{_COUNT} WHERE {DailyUsage._meta.db_table}.accepted + excluded.accepted <= %s RETURNING accepted"


@dataclass(frozen=True, slots=True)
class Claim:
    """A request for places in the day's quota. `duplicates` are counted and cost nothing."""

    customer_id: int
    events: int
    limit: int | None
    duplicates: int = 0


def reserve(cursor: CursorWrapper, claim: Claim, *, at: datetime) -> int | None:
    """The day's count with `claim` in it, or `None` when it does not fit: then it is counted as refused."""
    day = at.astimezone(UTC).date()
    limit = NO_LIMIT if claim.limit is None or not claim.events else claim.limit
    if not claim.events and not claim.duplicates:
        return 0
    if claim.events <= limit:
        cursor.execute(_RESERVE, (claim.customer_id, day, claim.events, 0, claim.duplicates, 0, 0, limit))
        row = cursor.fetchone()
        if row is not None:
            return int(row[0])
    cursor.execute(_COUNT, (claim.customer_id, day, 0, 0, 0, claim.events, 0))
    return None


def settle(entries: Sequence[InboxEntry], stored: Iterable[tuple[InboxEntry, int]]) -> None:
    """In the drain's transaction: count what was stored, with its size, and give back what was there already.

    `entries` are the rows drained; `stored` has an (entry, size) for each event that was new.
    """
    sums: dict[tuple[int, date], list[int]] = {}
    for entry in entries:
        total = sums.setdefault(_day_of(entry), [0] * len(_SUMS))
        total[_ACCEPTED] -= entry.events
        total[_DUPLICATES] += entry.events
    for entry, size in stored:
        total = sums[_day_of(entry)]
        total[_ACCEPTED] += 1
        total[_STORED] += 1
        total[_DUPLICATES] -= 1
        total[_BYTES] += size
    with connection.cursor() as cursor:
        cursor.executemany(_COUNT, [(*key, *total) for key, total in sorted(sums.items())])


def _day_of(entry: InboxEntry) -> tuple[int, date]:
    return entry.customer_id, entry.received_at.astimezone(UTC).date()


def today(customer_id: int, *, at: datetime) -> DailyUsage:
    """The counts of the UTC day of `at`, zeros when nothing was sent."""
    day = at.astimezone(UTC).date()
    found = DailyUsage.objects.filter(customer_id=customer_id, day=day).first()
    return found or DailyUsage(customer_id=customer_id, day=day)


def used(customer_id: int, at: datetime) -> int:
    """What counts against the quota of the UTC day of `at`."""
    return today(customer_id, at=at).accepted


def exceeded(claim: Claim, *, now: datetime) -> QuotaExceeded:
    """What a claim over the limit is answered."""
    seconds = ceil((usage.day_ends(now) - now).total_seconds())
    return QuotaExceeded(
        f"{claim.events} events are more than is left of today's {claim.limit}; nothing was stored",
        "keep them and send them after `Retry-After` seconds, in smaller batches until then, or change the plan",
        retry_after=max(1, seconds),
    )
