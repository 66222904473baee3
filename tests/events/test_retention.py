"""What a tier no longer keeps is deleted, in small steps; what is acknowledged and waits never is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command

from core.clock import now
from customers.models import Customer, Tier
from events import retention
from events.event_ids import DAY, day_of
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
    assert pauses == [retention.PAUSE_SECONDS] * 2  # one a day that had events
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
    noon = day_of(now()) - timedelta(days=19.5)
    answer_of(sender.post([an_event(noon + timedelta(minutes=number)) for number in range(8)]))
    drain_everything()
    pauses: list[float] = []
    assert expire(now=now(), pause=pauses.append).events == 8
    assert len(pauses) == 3


def test_the_task_and_the_command_do_the_same(sender: Sender) -> None:
    send_from(sender, 20)
    drain_everything()
    assert call_command("expire_events").startswith("deleted 1 events")
    expire_events()


def test_a_day_is_kept_whole_until_all_of_it_is_too_old(sender: Sender) -> None:
    limit = day_of(now()) - 10 * DAY
    answer_of(sender.post([an_event(limit), an_event(limit - timedelta(microseconds=1))]))
    drain_everything()
    assert expire(now=now()).events == 1
    assert Event.objects.get().timestamp == limit
    assert DailyRollup.objects.get().events == HourlyRollup.objects.get().events == 1


def test_a_replay_of_what_is_gone_is_not_counted_beside_itself(sender: Sender) -> None:
    event = an_event(now() - timedelta(days=20))
    for _ in range(2):
        answer_of(sender.post([event]))
        drain_everything()
        assert DailyRollup.objects.get().events == Session.objects.get().events == 1
        assert expire(now=now()).events == 1
    assert not DailyRollup.objects.exists()


def test_nothing_goes_while_clients_may_still_replay_it(sender: Sender) -> None:
    Tier.objects.filter(code="enterprise").update(retention_days=1)
    send_from(sender, retention.REPLAY_DAYS - 0.1, retention.REPLAY_DAYS + 1.1)
    drain_everything()
    assert expire(now=now()).events == 1
    assert Event.objects.count() == 1
