"""What a customer's plan allows a day and how much of it is used, and whether what was accepted is being stored.

plan(customer, at=moment)   → Plan(used=9000, quota=100000, …)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from customers import usage
from customers.entitlements import Entitlement
from customers.models import Customer
from customers.queries import entitlement_of
from events import queries
from events.rows import InboxDepth

HIGH_SHARE = 0.8  # of the quota: time to act before events are refused
LATE_AFTER = timedelta(seconds=30)  # accepted events are stored within a second or two while the worker is well


@dataclass(frozen=True, slots=True)
class Plan:
    """`quota` is `None` for no limit; `late` is set while accepted events wait to be stored for too long."""

    entitlement: Entitlement
    used: int
    resets_at: datetime
    late: InboxDepth | None

    @property
    def quota(self) -> int | None:
        return self.entitlement.events_per_day

    @property
    def quota_level(self) -> str:
        """`full`, `high` or nothing: the meter's class."""
        if self.quota is None or self.used < self.quota * HIGH_SHARE:
            return ""
        return "full" if self.used >= self.quota else "high"


def plan(customer: Customer, *, at: datetime) -> Plan:
    """The plan of `customer` as it stands at `at`."""
    depth = queries.inbox_depth(customer.pk)
    late = depth.oldest_at is not None and at - depth.oldest_at > LATE_AFTER
    return Plan(
        entitlement=entitlement_of(customer, at=at),
        used=usage.events_today(customer.pk, at=at),
        resets_at=usage.day_ends(at),
        late=depth if late else None,
    )
