"""What a customer has used today, asked of whoever counts it, so that this room needs to know no room above.

    usage.register(events_today)              # in the counting app's AppConfig.ready
    usage.events_today(customer.pk, at=now)   → 4711; 0 while nobody counts

A day is a calendar day in UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Provider = Callable[[int, datetime], int]
"""(Customer.pk, a moment) → events stored on that moment's day."""


def _nothing(customer_id: int, at: datetime) -> int:  # noqa: ARG001
    return 0


_provider: Provider = _nothing


def register(provider: Provider) -> None:
    """Have `provider` answer from now on."""
    global _provider  # noqa: PLW0603 - there is one counter of events
    _provider = provider


def events_today(customer_id: int, *, at: datetime) -> int:
    """Events of `customer_id` stored on the day of `at`."""
    return _provider(customer_id, at)


def day_ends(at: datetime) -> datetime:
    """When the day of `at` ends and quotas start anew."""
    start = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return start + timedelta(days=1)
