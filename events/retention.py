"""Deleting what a customer's tier no longer keeps. Never the inbox: what is acknowledged is first stored.

    expire(now=moment)   → Expired(events=120_000, sessions=40, rollups=900, partitions=1)

A UTC day goes as a whole once it lies wholly before what the tier keeps: its events and what counts them in the same
transaction. So a replay of a deleted event counts from nothing again, is never counted beside itself, and goes with the
next run; and nothing is deleted within `REPLAY_DAYS`, in which clients do replay, whatever the tier says.

First the store drops what no class keeps any more (a partition, at once). Then, for each class, the daily rollups tell
which customers still have which older days, so the work is proportional to what is deleted. It goes in small
transactions with pauses: one large `DELETE` would hold SQLite's only write lock while requests wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from customers.queries import retention_days_by_customer
from events import definitions, ledger, stores
from events.event_ids import DAY, day_of
from events.models import DailyRollup, HourlyRollup, Session
from events.turns import turn

REPLAY_DAYS = 4  # a laptop shut on Friday before the answer came sends the same events again on Tuesday
LEDGER_KEEPS = timedelta(days=1)
"""A batch whose acknowledgement was lost comes again as soon as its log is back. One that is away for longer brings
batches whose events the store knows: counted as duplicates, and still stored once."""
CHUNK_ROWS = 500  # about 10 ms on SQLite
PAUSE_SECONDS = 0.02  # between chunks, twice as long as one: requests get their turn
CUSTOMERS_A_QUERY = 1_000

Pause = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Expired:
    """How many rows were deleted; those of dropped partitions are not counted among the events."""

    events: int = 0
    sessions: int = 0
    rollups: int = 0
    partitions: int = 0

    def __add__(self, other: Expired) -> Expired:
        return Expired(
            self.events + other.events,
            self.sessions + other.sessions,
            self.rollups + other.rollups,
            self.partitions + other.partitions,
        )


def expire(*, now: datetime, pause: Pause = time.sleep) -> Expired:
    """Delete, for every customer, what is older than its tier keeps. Safe to interrupt and to repeat."""
    ledger.forget(before=now - LEDGER_KEEPS, pause=lambda: pause(PAUSE_SECONDS))
    definitions.forget_parts(now=now)
    classes: dict[int, list[int]] = {}
    for customer_id, days in retention_days_by_customer().items():
        classes.setdefault(max(days, REPLAY_DAYS), []).append(customer_id)
    if not classes:
        return Expired()
    today = day_of(now)
    total = Expired(partitions=stores.current().drop_before(today - max(classes) * DAY))
    for days, customers in classes.items():
        for group in _groups(customers):
            total += _expire(group, today - days * DAY, pause)
    return total


def _expire(customers: Sequence[int], limit: datetime, pause: Pause) -> Expired:
    """Delete what `customers`, all of one class, have from before the day `limit`."""
    total = Expired()
    old = DailyRollup.objects.filter(customer_id__in=customers, at__lt=limit)
    for customer_id, day in old.order_by("at", "customer_id").values_list("customer_id", "at").distinct():
        total += _expire_day(customer_id, day, pause)
    definitions.expire(customers, limit)
    # started_at is what the index is by; a session that began after the limit has not ended before it
    ended = Session.objects.filter(customer_id__in=customers, started_at__lt=limit, last_at__lt=limit)
    return total + Expired(sessions=ended.delete()[0])


def _expire_day(customer_id: int, day: datetime, pause: Pause) -> Expired:
    store, events, rollups = stores.current(), 0, 0
    while True:
        with turn():
            deleted = store.delete_day(customer_id, day, most=CHUNK_ROWS)
        events += deleted
        if deleted:
            pause(PAUSE_SECONDS)
        if deleted < CHUNK_ROWS:
            break
    with turn(), transaction.atomic():
        # The counts first, and so their locks: a drain that adds to this day either is done, and its events go below,
        # or begins the counts anew, and its events stay with them until the next run.
        for model in (DailyRollup, HourlyRollup):
            counted = model.objects.filter(customer_id=customer_id, at__gte=day, at__lt=day + DAY)
            rollups += counted.delete()[0]
        events += store.delete_day(customer_id, day, most=CHUNK_ROWS)
    return Expired(events=events, rollups=rollups)


def _groups(customers: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(customers), CUSTOMERS_A_QUERY):
        yield customers[start : start + CUSTOMERS_A_QUERY]
