"""What a tier no longer keeps is deleted, in small steps; what is acknowledged and waits never is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command

from core.clock import now
from customers.models import Customer, Tier
from events import retention
from events.models import DailyRollup, Event, HourlyRollup, Session
from events.retention import Expired, expire
from events.tasks import expire_events
from tests.events.samples import Sender, an_event, answer_of, drain_everything, waiting


@pytest.fixture(autouse=True)
def ten_days(db: None) -> None:
    """The Enterprise tier keeps ten days."""
    Tier.objects.filter(code="enterprise").update(retention_days=10)


def send_from(sender: Sender, *days_ago: float) -> None:
    answer_of(sender.post([an_event(now() - timedelta(days=days), session_id=f"s{days}") for days in days_ago]))


def test_old_events_sessions_and_rollups_go_and_new_ones_stay(sender: Sender) -> None:
    send_from(sender, 20, 12, 9, 0)
    drain_everything()
    pauses: list[float] = []
    assert expire(now=now(), pause=pauses.append) == Expired(events=2, sessions=2, rollups=4)
    assert {session.session_id for session in Session.objects.all()} == {"s9", "s0"}
    assert (Event.objects.count(), HourlyRollup.objects.count(), DailyRollup.objects.count()) == (2, 2, 2)
    assert pauses == [retention.PAUSE_SECONDS]
    assert expire(now=now()) == Expired()


def test_the_inbox_is_never_touched(sender: Sender) -> None:
    send_from(sender, 20)
    assert expire(now=now()) == Expired()
    assert waiting() == 1
    assert drain_everything().stored == 1


def test_every_customer_keeps_what_its_own_tier_says(sender: Sender, stranger: Sender, globex: Customer) -> None:
    globex.subscription.tier = Tier.objects.get(code="pro")
    globex.subscription.save()
    for each in (sender, stranger):
        send_from(each, 30)
    drain_everything()
    assert expire(now=now()).events == 1
    assert Event.objects.get().customer_id == globex.pk


def test_many_events_go_in_steps(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK_ROWS", 3)
    send_from(sender, *[20 + number / 100 for number in range(8)])
    drain_everything()
    pauses: list[float] = []
    assert expire(now=now(), pause=pauses.append).events == 8
    assert len(pauses) == 3


def test_the_task_and_the_command_do_the_same(sender: Sender) -> None:
    send_from(sender, 20)
    drain_everything()
    assert call_command("expire_events").startswith("deleted 1 events")
    expire_events()
