"""What every event store gives up and keeps, in a world of its own: this suite takes it apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from core.clock import now
from customers.models import Tier
from events import queries, retention
from events.event_ids import DAY, day_of
from events.models import DailyRollup, HourlyRollup, Session
from tests.events.clickhouses import STORES, real_store
from tests.events.scenario import World, drained_world, every, ids, ids_of, moment_of


@pytest.fixture(params=STORES)
def world(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """The scenario, drained into a store of its own."""
    with django_db_blocker.unblock(), real_store(request.param):
        yield drained_world()


def kept(customer: int) -> list[str]:
    return ids(every(lambda cursor: queries.recent_events(customer, after=cursor, limit=50)))


def test_each_class_keeps_its_own_days_and_what_is_counted_is_what_is_left(world: World) -> None:
    acme, globex = (customer.pk for customer in world.customers)
    world.customers[1].subscription.tier = Tier.objects.get(code="pro")
    world.customers[1].subscription.save()
    Tier.objects.filter(code="enterprise").update(retention_days=4)
    Tier.objects.filter(code="pro").update(retention_days=5)
    retention.expire(now=now(), pause=lambda _: None)
    for customer, days in ((acme, 4), (globex, 5)):
        wanted = [event for event in world.events(customer) if moment_of(event) >= day_of(now()) - days * DAY]
        assert 0 < len(wanted) < len(world.sent[customer])
        assert kept(customer) == ids_of(wanted)[::-1]
        gone = next(event for event in world.events(customer) if event not in wanted)
        assert queries.event(customer, UUID(gone["id"])) is None
        for model in (HourlyRollup, DailyRollup):
            assert sum(row.events for row in model._default_manager.filter(customer_id=customer)) == len(wanted)
    assert retention.expire(now=now(), pause=lambda _: None) == retention.Expired()
    assert retention.expire(now=now() + 400 * DAY, pause=lambda _: None).sessions == 10
    assert not (kept(acme) or kept(globex) or Session.objects.exists() or DailyRollup.objects.exists())
