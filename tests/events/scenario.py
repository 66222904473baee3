"""A week of two customers, and a model of it: what `test_event_stores` sends to every store and compares it with."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from core.clock import now
from core.paging import Page
from customers.models import Customer
from events.drain import Drained
from events.event_ids import DAY, day_of
from tests.events.samples import a_call, uuid_of

DAYS = 6
TOOLS = ("git_log", "git_show", "git_diff")


@dataclass(frozen=True)
class World:
    """What was sent of each customer, each event once, and what the drains said."""

    customers: Sequence[Customer]
    sent: dict[int, list[dict[str, Any]]]
    drained: Drained

    def events(self, customer: int, key: Callable[[dict[str, Any]], Any] | None = None) -> list[dict[str, Any]]:
        """In the order of their ids, or of `key`."""
        return sorted(self.sent[customer], key=key or (lambda event: UUID(event["id"])))


def traffic(chance: random.Random) -> list[dict[str, Any]]:
    """A week of one customer."""
    events: list[dict[str, Any]] = []
    begun = day_of(now()) - DAYS * DAY
    for number in range(160):
        moment = begun + chance.random() * DAYS * DAY
        fields: dict[str, Any] = {"session_id": f"s{number % 5}", "tool": chance.choice(TOOLS), "is_error": False}
        call = a_call(f"c{number}", moment=moment, duration_ms=round(chance.lognormvariate(3, 1), 3), **fields)
        if chance.random() < 0.1:
            call[1]["is_error"] = True
        if chance.random() < 0.1:
            late = moment + DAY
            call[1] |= {"id": str(uuid_of(late)), "timestamp": late.isoformat()}
        events += call if chance.random() < 0.9 else call[:1]
    for each in events:
        each |= {"sequence": int(datetime.fromisoformat(each["timestamp"]).timestamp() * 1000), "size": 100}
    return events


def every(page_after: Callable[[str | None], Page[Any]]) -> list[Any]:
    """The rows of all pages, one after the other."""
    rows: list[Any] = []
    page = page_after(None)
    while page.next is not None:
        rows += page.rows
        page = page_after(page.next)
    return [*rows, *page.rows]


def moment_of(event: dict[str, Any]) -> datetime:
    """When it happened, as it was sent."""
    return datetime.fromisoformat(event["timestamp"])
