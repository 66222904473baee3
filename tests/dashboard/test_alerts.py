"""The pages of alerts: what they show, what their forms do, and whom they let do it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from alerts import destinations, rules, sending, wakeup
from alerts.evaluator import evaluate
from alerts.models import Attempt, Delivery, Destination, Incident, Rule
from alerts.webhook_secrets import signing_secrets
from core import clock
from customers.models import AuditEntry, Customer, Member
from tests.dashboard.traffic import Talk

HOSTILE = "<script>alert(1)</script>"
SCOPE = {"kind": "errors", "name": "Git fails", "server": "mcp-server-git", "threshold": "20", "window": "15"}


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeup, "_send", lambda: None)


@pytest.fixture
def pager(customer: Customer, now: datetime) -> Destination:
    made, _ = destinations.add_webhook(customer, "Pager", "https://hooks.example.org/km", at=now, actor="user:ann")
    return made


@pytest.fixture
def failing(customer: Customer, talk: Talk, now: datetime) -> None:
    """Half of forty calls failed in the last half minute."""
    talk.started_at = now - timedelta(seconds=30)
    for number in range(40):
        asked = talk.request("tools/call", tool="git_log")
        talk.answer(asked, error={"code": -1, "message": "no"} if number % 2 else None, after_ms=5)
    talk.store(customer)


def made(browser: Client, **fields: str) -> Rule:
    answer = browser.post(reverse("dashboard:alert_rule_add"), SCOPE | fields)
    assert answer.status_code == 302, answer.content.decode()
    return Rule.objects.latest("id")


def text(browser: Client, name: str, *parts: object, **query: str) -> str:
    answer = browser.get(reverse(f"dashboard:{name}", args=parts), query)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert "<script>alert" not in page
    assert " style=" not in page
    return page


def test_a_newcomer_is_led_to_the_first_rule(browser: Client) -> None:
    assert "Make the first rule" in text(browser, "alerts")
    assert "Answers take too long" in text(browser, "alert_rule_new")
    for kind in ("errors", "latency", "definition", "quota", "silence"):
        assert "would have fired" in text(browser, "alert_rule_new", kind=kind)


@pytest.mark.usefixtures("failing")
def test_from_a_rule_to_an_incident_that_somebody_acknowledges(
    browser: Client, customer: Customer, pager: Destination, now: datetime
) -> None:
    tried = browser.post(reverse("dashboard:alert_rule_preview"), SCOPE).content.decode()
    assert "In the last 24 hours this would have fired 1 time<" in tried
    assert not Rule.objects.exists()
    rule = made(browser, destination=pager.public_id)
    assert list(rule.destinations.all()) == [pager]
    evaluate(clock=clock.now)
    incident = Incident.objects.get()
    assert "50 % of 40 requests failed" in text(browser, "alerts")
    page = text(browser, "incident", incident.public_id)
    assert "Pager is being told that it began" in page
    link = re.search(r'class="button primary" href="([^"]+)"', page)
    assert link is not None
    events = browser.get(link[1].replace("&amp;", "&")).content.decode()
    assert events.count("git_log") >= 20
    assert browser.post(reverse("dashboard:incident_acknowledge", args=[incident.public_id])).status_code == 302
    incident.refresh_from_db()
    assert incident.acknowledged_by.startswith("user:owner-")
    assert "Acknowledged by owner-" in text(browser, "incident", incident.public_id)
    assert "1 incident open" in text(browser, "overview")
    acts = set(AuditEntry.objects.filter(customer_public_id=customer.public_id).values_list("action", flat=True))
    assert {"alert_rule.created", "alert_destination.added", "incident.acknowledged"} <= acts


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("threshold", "0", "threshold"), ("threshold", "nan", "threshold"), ("threshold", "lots", "threshold"),
     ("window", "7", "window"), ("at_least", "-1", "at_least"), ("name", "x" * 81, "name"),
     ("cooldown", "1", "cooldown"), ("server", "a\0b", "server"), ("kind", "weather", "kind")],
)  # fmt: skip
def test_what_is_wrong_with_a_form_is_said_and_what_was_entered_stays(
    browser: Client, field: str, value: str, said: str
) -> None:
    answer = browser.post(reverse("dashboard:alert_rule_add"), SCOPE | {field: value})
    assert answer.status_code == 400
    page = answer.content.decode()
    assert f"`{said}`" in page or "There is no kind" in page
    if field != "kind":
        assert field == "server" or "mcp-server-git" in page
    assert not Rule.objects.exists()


def test_quiet_hours_are_two_or_none(browser: Client) -> None:
    silence = {"kind": "silence", "threshold": "30"}
    for hours in ({"quiet_from": "22"}, {"quiet_from": "5", "quiet_to": "5"}, {"quiet_from": "25", "quiet_to": "1"}):
        assert browser.post(reverse("dashboard:alert_rule_add"), SCOPE | silence | hours).status_code == 400
    rule = made(browser, kind="silence", threshold="30", quiet_from="22", quiet_to="6")
    assert (rule.quiet_from, rule.quiet_to) == (22, 6)
    assert '<option value="22" selected>' in text(browser, "alert_rule", rule.public_id)


def test_a_rule_is_changed_switched_muted_and_deleted(browser: Client, now: datetime) -> None:
    rule = made(browser)
    change = reverse("dashboard:alert_rule_change", args=[rule.public_id])
    assert browser.post(change, SCOPE | {"threshold": "33.5", "name": HOSTILE}).status_code == 302
    rule.refresh_from_db()
    assert (rule.threshold, rule.name) == (33.5, HOSTILE)
    browser.post(reverse("dashboard:alert_rule_switch", args=[rule.public_id]), {"on": "0"})
    browser.post(reverse("dashboard:alert_rule_mute", args=[rule.public_id]), {"minutes": "60"})
    rule.refresh_from_db()
    assert not rule.enabled and rule.muted_until is not None
    page = text(browser, "alerts")
    assert "Off</span>" in page and "Muted</span>" in page
    browser.post(reverse("dashboard:alert_rule_mute", args=[rule.public_id]))
    rule.refresh_from_db()
    assert rule.muted_until is None
    assert (
        browser.post(reverse("dashboard:alert_rule_mute", args=[rule.public_id]), {"minutes": "7"}).status_code == 400
    )
    browser.post(reverse("dashboard:alert_rule_delete", args=[rule.public_id]))
    assert not Rule.objects.exists()


def test_a_webhooks_secret_is_shown_once_and_again_only_when_it_is_rotated(browser: Client, now: datetime) -> None:
    sent = {"name": "Pager", "url": "https://hooks.example.org/km"}
    page = browser.post(reverse("dashboard:alert_webhook_add"), sent).content.decode()
    row = Destination.objects.get()
    (first,) = signing_secrets(row, at=now)
    assert first in page and first not in row.secret
    rotated = browser.post(reverse("dashboard:alert_webhook_rotate", args=[row.public_id])).content.decode()
    row.refresh_from_db()
    second, before = signing_secrets(row, at=now)
    assert second in rotated and before == first and first not in rotated
    for name in ("alert_destinations", "alert_messages", "alerts"):
        assert "whsec_" not in text(browser, name)
    refused = browser.post(
        reverse("dashboard:alert_webhook_add"), {"name": "x", "url": "http://a.example/"}, follow=True
    )
    assert "begins with https://" in refused.content.decode()


def test_members_are_chosen_from_ones_own(browser: Client, customer: Customer, stranger: Customer) -> None:
    me = Member.objects.get(customer=customer)
    add = reverse("dashboard:alert_email_add")
    browser.post(add, {"name": "On call", "member": [me.pk]})
    assert list(Destination.objects.get().members.all()) == [me]
    for wrong in (["7" * 30], [], [str(me.pk), "9999999"], ["x"]):
        browser.post(add, {"name": "No", "member": wrong})
    assert Destination.objects.count() == 1


def test_a_test_is_sent_logged_and_sent_again(
    browser: Client, pager: Destination, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.post(reverse("dashboard:alert_destination_test", args=[pager.public_id]))
    row = Delivery.objects.get()
    assert "Waiting" in text(browser, "alert_messages")
    Attempt.objects.create(delivery=row, at=now, status=500, answer=HOSTILE, duration_ms=12.5)
    Delivery.objects.update(state=Delivery.State.FAILED, tries=1)
    page = text(browser, "alert_message", row.public_id)
    assert "&lt;script&gt;" in page and "500" in page
    browser.post(reverse("dashboard:alert_message_again", args=[row.public_id]))
    assert Delivery.objects.get().state == Delivery.State.WAITING
    assert Delivery.objects.get().public_id == row.public_id
    assert sending._claim(now + timedelta(minutes=1))


def test_hostile_names_stay_words_everywhere(browser: Client, customer: Customer, now: datetime, talk: Talk) -> None:
    talk.server = {"name": HOSTILE}
    for _ in range(30):
        talk.answer(talk.request("tools/call", tool=HOSTILE), error={"code": 1, "message": HOSTILE})
    talk.store(customer)
    destinations.add_webhook(customer, HOSTILE, "https://hooks.example.org/", at=now, actor="user:ann")
    everybody = [each.public_id for each in Destination.objects.all()]
    made(browser, name=HOSTILE, server=HOSTILE, tool=HOSTILE, destination=everybody[0])
    evaluate(clock=clock.now)
    row = Incident.objects.get()
    Incident.objects.update(found=[{"server": HOSTILE, "tool": HOSTILE, "change": HOSTILE, "at": ""}])
    for name in ("alerts", "incidents", "alert_destinations", "alert_messages", "overview"):
        text(browser, name)
    text(browser, "incident", row.public_id)
    text(browser, "alert_rule", Rule.objects.get().public_id)
    text(browser, "alert_message", Delivery.objects.get().public_id)


def test_what_is_another_customers_is_absent(
    browser: Client, stranger: Customer, customer: Customer, now: datetime
) -> None:
    theirs, _ = destinations.add_webhook(stranger, "T", "https://hooks.example.org/", at=now, actor="user:eve")
    draft = rules.defaults("errors")
    rule = rules.create(stranger, draft, at=now, actor="user:eve")
    incident = Incident.objects.create(
        customer=stranger, rule=rule, opened_at=now, value=1, worst=1, **rules.copied(rule)
    )
    destinations.test(theirs, at=now, actor="user:eve")
    message = Delivery.objects.get()
    pages: dict[str, Any] = {"incident": incident, "alert_rule": rule, "alert_message": message}
    acts: dict[str, Any] = {"incident_acknowledge": incident, "alert_message_again": message}
    acts |= {f"alert_rule_{act}": rule for act in ("change", "switch", "mute", "delete")}
    acts |= {f"alert_destination_{act}": theirs for act in ("switch", "test", "delete")} | {
        "alert_webhook_rotate": theirs
    }
    for name, row in pages.items():
        assert browser.get(reverse(f"dashboard:{name}", args=[row.public_id])).status_code == 404, name
    for name, row in acts.items():
        assert browser.post(reverse(f"dashboard:{name}", args=[row.public_id]), SCOPE).status_code == 404, name
    for name in ("alert_rule_add", "alert_rule_preview"):
        sent = SCOPE | {"destination": theirs.public_id}
        assert browser.post(reverse(f"dashboard:{name}"), sent).status_code == 404, name
    assert browser.post(reverse("dashboard:alert_rule_preview"), SCOPE | {"rule": rule.public_id}).status_code == 404
    for unreadable in ("\0", "é", "x" * 400):
        assert browser.get(reverse("dashboard:incident", args=[unreadable])).status_code == 404
    assert Delivery.objects.count() == 1 and Rule.objects.get() == rule
    assert "T</bdi>" not in text(browser, "alert_destinations")


def test_who_only_reads_sees_alerts_and_no_addresses(
    customer: Customer, sign_in: Callable[..., Client], pager: Destination, now: datetime
) -> None:
    draft = rules.defaults("errors")
    rules.create(customer, draft, at=now, actor="user:ann")
    viewer = sign_in(customer, "viewer")
    page = text(viewer, "alerts")
    assert "Error rate" in page
    assert "Switch off" not in page and "Mute" not in page and "hooks.example.org" not in page
    for name in ("alert_destinations", "alert_messages", "alert_rule_new"):
        assert viewer.get(reverse(f"dashboard:{name}")).status_code == 403


@pytest.mark.parametrize("name", ["alerts", "incidents", "alert_destinations", "alert_messages"])
def test_the_pages_ask_as_many_questions_for_many_rows_as_for_one(
    name: str, browser: Client, customer: Customer, now: datetime, django_assert_max_num_queries: Any
) -> None:
    member = Member.objects.get(customer=customer)
    for number in range(15):
        to = destinations.add_email(customer, f"D {number}", [member.pk], at=now, actor="user:ann")
        draft = rules.defaults("errors")
        rule = rules.create(customer, draft, at=now, actor="user:ann")
        rule.destinations.add(to)
        copied = rules.copied(rule)
        for resolved_at in (now, None):
            Incident.objects.create(
                customer=customer, rule=rule, opened_at=now, value=1, worst=1, resolved_at=resolved_at, **copied
            )
        destinations.test(to, at=now, actor="user:ann")
    with django_assert_max_num_queries(9):
        text(browser, name)
