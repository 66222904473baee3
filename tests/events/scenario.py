"""A week of two customers, and a model of it: what `test_event_stores` sends to every store and compares it with."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management import call_command

from core.clock import now
from core.paging import Page
from customers import accounts, proofs
from customers.models import Customer
from events.drain import Drained
from events.event_ids import DAY, day_of
from events.rows import EventRow
from tests.events.conftest import sender_for
from tests.events.samples import a_call, answer_of, drain_everything, uuid_of

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


def drained_world() -> World:
    """The week of two customers, sent in companies, out of order and in part twice, and drained: all there is."""
    call_command("flush", verbosity=0, interactive=False)
    proofs.forget_all()
    chance = random.Random(8318)
    customers = [accounts.create_customer(name, "enterprise", at=now()) for name in ("Acme", "Globex")]
    sent, bodies = {}, []
    for customer in customers:
        events = traffic(chance)
        sent[customer.pk] = events
        mixed = chance.sample(events, len(events))  # reordered
        parts = [mixed[start : start + 23] for start in range(0, len(mixed), 23)]
        bodies += [(customer, part) for part in [*parts, *chance.sample(parts, 4)]]  # and some of them twice
        bodies.append((customer, chance.sample(events, 30)))  # and some events in yet another company
    chance.shuffle(bodies)
    total = Drained()
    for number, (customer, part) in enumerate(bodies):
        answer_of(sender_for(customer).post(part))
        if number % 7 == 6:
            total += drain_everything()
    return World(customers, sent, total + drain_everything())


def ids(rows: Sequence[EventRow]) -> list[str]:
    """Their ids, as they were sent."""
    return [str(row.id) for row in rows]


def ids_of(events: Sequence[dict[str, Any]]) -> list[str]:
    """The same of events as they were sent."""
    return [event["id"] for event in events]


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
