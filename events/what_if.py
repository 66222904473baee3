"""What a change of a subscription means for what is stored: how much is deleted, and when (`customers.what_if`)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Count, Sum

from customers.entitlements import Entitlement
from customers.models import Customer
from customers.what_if import LOSS, NOTE, Effect
from events.event_ids import DAY, day_of
from events.models import DailyRollup
from events.retention import REPLAY_DAYS

EXPIRES_AT_MINUTE = 17  # of every hour: `expire-events` of the periodic tasks


def effects(customer: Customer, before: Entitlement, after: Entitlement, at: datetime) -> Iterator[Effect]:
    """Deleted events are gone; those of a longer retention come back from nowhere. One query at most."""
    kept, was = (max(each.retention_days, REPLAY_DAYS) for each in (after, before))
    if kept > was:
        yield Effect(NOTE, "what was deleted already does not come back")
    if kept >= was:
        return
    old = DailyRollup.objects.filter(customer_id=customer.pk, at__lt=day_of(at) - kept * DAY)
    found = old.aggregate(events=Sum("events"), days=Count("at", distinct=True))
    if found["events"]:
        when = f"{next_run(at):%-d %b %Y, %H:%M} UTC"
        days = "1 day" if found["days"] == 1 else f"{found['days']:,} days"
        yield Effect(LOSS, f"{found['events']:,} events of {days} are deleted from {when} on, for good")
    else:
        yield Effect(NOTE, f"nothing is deleted now: no event is older than {kept} days")


def next_run(at: datetime) -> datetime:
    """When old events are deleted next."""
    run = at.replace(minute=EXPIRES_AT_MINUTE, second=0, microsecond=0)
    return run if run > at else run + timedelta(hours=1)
