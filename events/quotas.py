"""How much a customer may still send today: one counter a customer and UTC day.

    used = reserve_all(cursor, [Claim(customer_id=7, events=100, limit=100_000, at=moment)])
    → [4_800], the day's count with these; [None]: over the limit, and nothing was counted

Embedded, one statement adds and compares at once in the transaction that writes the inbox row: what is counted is
durable, what is refused is not, and no two processes take the last place. In production the counter is in Redis
(`events.quota_counters`) and the database's row is written by the drain alone, so that requests of one customer do not
wait for each other's commits. Either way the drain settles what was stored, and a retry costs nothing in the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from math import ceil
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Subquery, Sum
from django.db.models.functions import Coalesce

from customers import usage
from customers.models import Customer
from events.errors import QuotaExceeded
from events.models import DailyUsage, InboxEntry
from events.upserts import adding

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

    from events.quota_counters import Counters

TALLY_SECONDS = 1.0
NO_LIMIT = 2**62  # a contract without a limit: compared as every other, never reached

_SUMS = ("accepted", "stored", "duplicates", "refused", "bytes")
_ACCEPTED, _STORED, _DUPLICATES, _REFUSED, _BYTES = range(len(_SUMS))
_COUNT = adding(DailyUsage, ("customer_id", "day"), _SUMS)
_RESERVE = f"{_COUNT} WHERE {DailyUsage._meta.db_table}.accepted + excluded.accepted <= %s RETURNING accepted"


@dataclass(frozen=True, slots=True)
class Claim:
    """A request for places in the quota of the day of `at`. `duplicates` are counted and cost nothing."""

    customer_id: int
    events: int
    limit: int | None
    at: datetime
    duplicates: int = 0

    @property
    def day(self) -> date:
        return self.at.astimezone(UTC).date()


def reserve_all(cursor: CursorWrapper, claims: Sequence[Claim]) -> list[int | None]:
    """For each claim the day's count with it, or `None` when it does not fit: then it is counted as refused.

    In the transaction that writes what is accepted.
    """
    counters = _counters(settings.REDIS_URL)
    if counters is not None:
        used = [_take(counters, claim) for claim in claims]
        _tally.write(cursor)
        return used
    # By customer, as the drain does: two transactions that want the same rows in another order wait for ever.
    order = sorted(range(len(claims)), key=lambda number: claims[number].customer_id)
    found = {number: _reserve(cursor, claims[number]) for number in order}
    return [found[number] for number in range(len(claims))]


@cache
def _counters(redis_url: str) -> Counters | None:
    if not redis_url:
        return None
    from events import quota_counters  # noqa: PLC0415 - an embedded service loads no Redis client

    return quota_counters.connect(redis_url, _accepted)


def _accepted(customer_id: int, day: date) -> int:
    """What is stored, and what waits to be: in one statement, as what is drained between two would be in neither."""
    stored = DailyUsage.objects.filter(customer_id=customer_id, day=day).values("accepted")
    waiting = (
        InboxEntry.objects.filter(customer_id=customer_id, received_at__date=day)
        .values("customer_id")
        .annotate(total=Sum("events"))
        .values("total")
    )
    counted = Coalesce(Subquery(stored), 0) + Coalesce(Subquery(waiting), 0)
    return Customer.objects.filter(pk=customer_id).values_list(counted, flat=True).first() or 0


def _take(counters: Counters, claim: Claim) -> int | None:
    used: int | None = 0
    if claim.limit is not None and claim.events:
        used = counters.take((claim.customer_id, claim.day), events=claim.events, limit=claim.limit)
    _tally.add(claim, refused=used is None)
    return used


class _Tally:
    """Duplicates and refusals that are not in the database yet: statistics, written once a second by whoever writes."""

    def __init__(self) -> None:
        self._sums: dict[tuple[int, date], list[int]] = {}
        self._due_at = 0.0

    def add(self, claim: Claim, *, refused: bool) -> None:
        if refused or claim.duplicates:
            total = self._sums.setdefault((claim.customer_id, claim.day), [0] * len(_SUMS))
            total[_REFUSED] += claim.events if refused else 0
            total[_DUPLICATES] += 0 if refused else claim.duplicates

    def write(self, cursor: CursorWrapper) -> None:
        """In a transaction; what is written is forgotten when it commits."""
        if not self._sums or time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + TALLY_SECONDS
        sums = self._sums
        cursor.executemany(_COUNT, [(*key, *total) for key, total in sorted(sums.items())])
        transaction.on_commit(sums.clear)  # one transaction of this kind at a time: see `events.group_commit`


_tally = _Tally()


def _reserve(cursor: CursorWrapper, claim: Claim) -> int | None:
    day = claim.day
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
    were_counted = _counters(settings.REDIS_URL) is None  # by `reserve_all`, each as accepted
    for entry in entries:
        total = sums.setdefault(_day_of(entry), [0] * len(_SUMS))
        total[_ACCEPTED] -= entry.events if were_counted else 0
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
