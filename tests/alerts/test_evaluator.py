"""From recorded traffic to incidents: the evaluator beside the real drain, minute by minute, the clock set by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from alerts import evaluator, incidents, rules
from alerts.evaluator import evaluate
from alerts.models import Incident, Rule
from alerts.preview import preview
from core.clock import now
from customers.accounts import create_customer
from customers.models import AuditEntry, Customer, Subscription
from events import definitions
from events.models import DailyUsage, InboxEntry
from tests.alerts.conftest import Clock, a_rule, calls, rounds
from tests.dashboard.traffic import Talk


def the_incident() -> Incident:
    return Incident.objects.get()


def test_a_rule_opens_one_incident_that_says_what_was_measured(acme: Customer, clock: Clock) -> None:
    calls(acme, clock(), count=40, fail=10)
    rule = a_rule(acme, clock(), threshold=20.0)
    assert rounds(clock, 7).opened == 1
    incident = the_incident()
    assert (incident.rule, incident.value, incident.counted) == (rule, 25.0, 40)
    assert (incident.threshold, incident.window_minutes, incident.name) == (20.0, 15, "Error rate")


def test_a_rule_that_does_not_hold_opens_nothing(acme: Customer, clock: Clock) -> None:
    calls(acme, clock(), count=40, fail=7)
    a_rule(acme, clock(), threshold=20.0)
    a_rule(acme, clock(), threshold=1.0, at_least=41)
    a_rule(acme, clock(), threshold=1.0, server="files")
    a_rule(acme, clock(), threshold=1.0, tool="git_push")
    rules.switch(a_rule(acme, clock(), threshold=1.0), on=False, at=clock(), actor="user:ann")
    rounds(clock, 4)
    assert not Incident.objects.exists()


def test_an_incident_ends_when_its_time_is_over_and_the_next_waits_for_the_cool_down(
    acme: Customer, clock: Clock
) -> None:
    calls(acme, clock(), count=40, fail=20)
    a_rule(acme, clock(), window_minutes=5, cooldown_minutes=30)
    began = clock()
    assert rounds(clock, 5).resolved == 0
    assert rounds(clock, 12).resolved == 1
    ended = the_incident()
    assert ended.resolved_at is not None
    assert began + timedelta(minutes=10) <= ended.resolved_at <= began + timedelta(minutes=13)
    calls(acme, clock(), count=40, fail=20)
    assert rounds(clock, 4).opened == 0
    clock.forward(minutes=30)
    calls(acme, clock(), count=40, fail=20)
    assert rounds(clock, 2).opened == 1


def test_latency_in_a_window_of_hours_comes_from_the_rollups(acme: Customer, clock: Clock) -> None:
    calls(acme, clock() - timedelta(hours=3), count=30, after_ms=3_000)
    a_rule(acme, clock(), kind="latency", window_minutes=360)
    a_rule(acme, clock(), kind="latency", window_minutes=60)
    rounds(clock, 1)
    assert the_incident().window_minutes == 360
    assert the_incident().value == pytest.approx(3_000, rel=0.03)


def test_silence_is_noticed_to_the_minute_and_ends_when_something_is_heard(acme: Customer, clock: Clock) -> None:
    calls(acme, clock(), count=1)
    calls(acme, clock(), count=1, server="files")
    a_rule(acme, clock(), kind="silence", server="git", threshold=20.0)
    began = clock()
    rounds(clock, 45)
    assert timedelta(minutes=20) <= the_incident().opened_at - began <= timedelta(minutes=22)
    calls(acme, clock(), count=1)
    assert rounds(clock, 8).resolved == 1


def test_silence_after_days_is_still_seen_and_a_server_never_heard_is_not_missed(acme: Customer, clock: Clock) -> None:
    calls(acme, clock() - timedelta(days=4), count=1)
    DailyUsage.objects.update(day=(clock() - timedelta(days=4)).date())
    a_rule(acme, clock(), kind="silence")
    a_rule(acme, clock(), kind="silence", server="nobody")
    rounds(clock, 3)
    assert the_incident().server == ""
    assert the_incident().value == pytest.approx(4 * 24 * 60, abs=2)


def test_what_waits_in_the_inbox_is_not_silence(acme: Customer, clock: Clock) -> None:
    calls(acme, clock() - timedelta(hours=2), count=1)
    a_rule(acme, clock(), kind="silence")
    talk = Talk("late", started_at=clock())
    talk.request("ping")
    waits = InboxEntry.objects.create(
        customer_id=acme.pk, received_at=clock(), kind="events", events=1, retry_at=clock(), body=talk.take()
    )
    rounds(clock, 1)
    assert not Incident.objects.exists()
    waits.delete()
    rounds(clock, 1)
    assert Incident.objects.exists()


def test_a_quota_is_told_of_on_its_day(acme: Customer, clock: Clock) -> None:
    Subscription.objects.filter(customer=acme).update(events_per_day=100)
    calls(acme, clock(), count=45)
    DailyUsage.objects.update(accepted=90)
    a_rule(acme, clock(), kind="quota")
    a_rule(acme, clock(), kind="quota", threshold=95.0)
    rounds(clock, 1)
    assert (the_incident().value, the_incident().counted) == (90.0, 90)
    clock.forward(days=1)
    assert rounds(clock, 12).resolved == 1


def list_tools(customer: Customer, clock: Clock, description: str) -> None:
    talk = Talk(f"list-{clock().timestamp()}", started_at=clock(), server={"name": "git"})
    tool = {"name": "git_push", "description": description, "inputSchema": {"type": "object"}}
    talk.answer(talk.request("tools/list"), {"tools": [tool]})
    talk.store(customer)


def test_a_changed_definition_is_told_of_once_and_accepting_it_ends_the_incident(acme: Customer, clock: Clock) -> None:
    clock.moment = now()  # a change counts from when it was noticed
    list_tools(acme, clock, "Pushes.")
    a_rule(acme, clock(), kind="definition", server="git")
    a_rule(acme, clock(), kind="definition", server="files")
    assert rounds(clock, 2).opened == 0
    list_tools(acme, clock, "Pushes, and tells somebody.")
    (change,) = definitions.changes(acme.pk, since=clock() - timedelta(days=9))
    clock.moment = max(clock(), change.noticed_at + timedelta(seconds=1))
    assert rounds(clock, 3).opened == 1
    assert the_incident().found[0]["tool"] == "git_push"
    assert the_incident().found[0]["change"] == "changed"
    definitions.accept(acme, change.id, actor="user:ann", at=clock())
    assert rounds(clock, 8).resolved == 1


def test_another_customers_server_of_the_same_name_is_never_seen(
    acme: Customer, globex: Customer, clock: Clock
) -> None:
    calls(globex, clock(), count=40, fail=40, after_ms=9_000)
    for kind in ("errors", "latency", "silence", "quota", "definition"):
        a_rule(acme, clock(), kind=kind, **({} if kind == "quota" else {"server": "git"}))
    rounds(clock, 90)
    assert not Incident.objects.exists()


def test_a_muted_rule_opens_an_incident_that_nobody_is_told_of(acme: Customer, clock: Clock) -> None:
    calls(acme, clock(), count=40, fail=40)
    rules.mute(a_rule(acme, clock()), 60, at=clock(), actor="user:ann")
    rounds(clock, 1)
    assert the_incident().muted
    assert not the_incident().deliveries.exists()


def test_switching_off_and_deleting_end_the_incident_and_keep_it(acme: Customer, clock: Clock) -> None:
    calls(acme, clock(), count=40, fail=40)
    off, gone = a_rule(acme, clock()), a_rule(acme, clock())
    rounds(clock, 1)
    rules.switch(off, on=False, at=clock(), actor="user:ann")
    rules.delete(gone, at=clock(), actor="user:ann")
    assert not incidents.open_ones(acme).exists()
    reasons = set(Incident.objects.values_list("resolved_because", flat=True))
    assert reasons == {"the rule was switched off", "the rule was deleted"}
    actions = set(AuditEntry.objects.filter(customer_public_id=acme.public_id).values_list("action", flat=True))
    assert {"alert_rule.created", "alert_rule.switched_off", "alert_rule.deleted"} <= actions


def test_a_round_after_a_round_at_the_same_moment_does_nothing(acme: Customer, clock: Clock) -> None:
    calls(acme, clock(), count=40, fail=40)
    a_rule(acme, clock())
    assert evaluate(clock=clock).rules == 1
    assert evaluate(clock=clock).rules == 0


def test_customers_who_send_nothing_cost_no_query_of_their_own(
    clock: Clock, db: None, django_assert_max_num_queries: Any
) -> None:
    for number in range(40):
        customer = create_customer(f"Quiet {number}", "pro", at=clock())
        for kind in ("errors", "latency", "definition", "quota"):
            a_rule(customer, clock(), kind=kind)
    with django_assert_max_num_queries(14):
        assert evaluate(clock=clock).rules == 160


def test_one_customers_trouble_leaves_the_others_rules_alone(
    acme: Customer, globex: Customer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for customer in (acme, globex):
        calls(customer, clock(), count=40, fail=40)
        a_rule(customer, clock())
    plain = evaluator._evaluate_own

    def broken(own: list[Rule], *rest: Any) -> Any:
        if own[0].customer_id == acme.pk:
            raise RuntimeError("the store is away")
        return plain(own, *rest)

    monkeypatch.setattr(evaluator, "_evaluate_own", broken)
    assert evaluate(clock=clock).opened == 1
    monkeypatch.undo()
    clock.forward(minutes=3)
    assert evaluate(clock=clock).opened == 1  # the other, a round later


@pytest.mark.parametrize("kind", ["errors", "latency"])
def test_a_preview_finds_what_the_evaluator_found(kind: str, acme: Customer, clock: Clock) -> None:
    rule = a_rule(acme, clock(), kind=kind, window_minutes=5, threshold=20.0, at_least=5)
    for minutes, fail in ((0, 9), (1, 0), (35, 9), (36, 9)):
        clock_then = clock() + timedelta(minutes=minutes, seconds=20)
        calls(acme, clock_then, count=10, fail=fail, after_ms=50 if fail else 5)
    end = clock() + timedelta(minutes=70)
    found = preview(acme, rules.watch_of(rule), at=end)
    rounds(clock, 70)
    happened = [(each.opened_at, each.resolved_at) for each in Incident.objects.order_by("id")]
    previewed = [(each.opened_at, each.resolved_at) for each in found.episodes]
    assert len(happened) == len(previewed) == 2
    for (opened, ended), (would_open, would_end) in zip(happened, previewed, strict=True):
        assert abs(opened - would_open) <= timedelta(minutes=1)
        assert ended is not None and would_end is not None
        assert abs(ended - would_end) <= timedelta(minutes=2)


def test_a_preview_of_silence_of_changes_and_of_a_quota(acme: Customer, clock: Clock) -> None:
    calls(acme, clock() - timedelta(hours=30), count=1)
    calls(acme, clock() - timedelta(hours=20), count=1)
    calls(acme, clock() - timedelta(hours=2), count=1)
    watch = rules.watch_of(rules.defaults("silence"))
    shown = preview(acme, watch, at=clock())
    assert [each.resolved_at is None for each in shown.episodes] == [False, False, True]
    assert preview(acme, rules.watch_of(rules.defaults("definition")), at=clock()).episodes == []
    Subscription.objects.filter(customer=acme).update(events_per_day=2)
    DailyUsage.objects.update(accepted=2)
    assert len(preview(acme, rules.watch_of(rules.defaults("quota")), at=clock()).episodes) == 2
