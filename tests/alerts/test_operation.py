"""What an operator sees of alerts: figures at `/metrics`, and pages of the console that only show."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from prometheus_client.parser import text_string_to_metric_families

from alerts import destinations
from alerts.models import Delivery, Destination, Incident, Rule
from alerts.sending import Sent, send_due
from core.clock import now
from customers.models import Customer
from tests.alerts.conftest import Clock, a_rule
from tests.alerts.receivers import Receiver, Reply
from tests.alerts.test_sending import ANN, an_incident, hook


def figures() -> dict[tuple[str, str], float]:
    """The samples of this room, by name and label."""
    text = Client(SERVER_NAME="localhost").get("/metrics").content.decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(s.name, "".join(s.labels.values())): s.value for s in samples if s.name.startswith("km_alert_")}


@pytest.fixture
def present() -> Clock:
    return Clock(now())


def test_a_service_without_alerts_has_every_figure_at_zero(db: None) -> None:
    assert set(figures().values()) == {0}
    assert len(figures()) == 5 + 3 + 3


def test_what_is_open_sent_failed_and_late_is_told(acme: Customer, present: Clock, receiver: Receiver) -> None:
    receiver.replies = [Reply(204), Reply(500)]
    taken, _ = hook(acme, present, receiver.url)
    an_incident(acme, present, taken)
    assert send_due(clock=present) == Sent(delivered=1)
    for _ in range(2):
        destinations.test(taken, at=present(), actor=ANN)
    send_due(clock=present)
    Delivery.objects.filter(state="waiting").update(
        created_at=now() - timedelta(hours=1), next_at=now() - timedelta(minutes=10)
    )
    Rule.objects.update(due_at=now() - timedelta(minutes=5))
    told = figures()
    assert told["km_alert_incidents", "errors"] == Incident.objects.filter(resolved_at=None).count() == 1
    assert [told["km_alert_messages", state] for state in ("delivered", "waiting", "failed")] == [1, 2, 0]
    assert told["km_alert_message_age_seconds", ""] == pytest.approx(3600, abs=60)
    assert told["km_alert_message_overdue_seconds", ""] == pytest.approx(600, abs=60)
    assert told["km_alert_rule_overdue_seconds", ""] == pytest.approx(300, abs=60)
    Rule.objects.update(enabled=False)
    assert figures()["km_alert_rule_overdue_seconds", ""] == 0


def test_a_scrape_asks_as_much_of_many_as_of_one(
    acme: Customer, present: Clock, django_assert_max_num_queries: Any
) -> None:
    to, _ = hook(acme, present, "https://hooks.example.org/")
    for _ in range(15):
        destinations.test(to, at=present(), actor=ANN)
        a_rule(acme, present(), to)
    with django_assert_max_num_queries(30):
        figures()


def test_the_console_shows_and_changes_nothing_and_no_secret(
    acme: Customer, present: Clock, receiver: Receiver
) -> None:
    receiver.replies = [Reply(500, body=b"<b>no</b>")]
    to, secret = hook(acme, present, receiver.url)
    destinations.rotate(to, at=present(), actor=ANN)
    an_incident(acme, present, to)
    send_due(clock=present)
    browser, row = Client(), Destination.objects.get()
    browser.force_login(User.objects.create(username="ops", is_staff=True, is_superuser=True))
    for model in (Rule, Incident, Destination, Delivery):
        name = f"admin:alerts_{model._meta.model_name}"
        shown = browser.get(reverse(f"{name}_changelist")).content.decode()
        one = model.objects.latest("id")
        page = browser.get(reverse(f"{name}_change", args=[one.pk])).content.decode()
        for text in (shown, page):
            assert "Acme" in text
            assert not [each for each in (secret, row.secret, row.previous_secret) if each in text]
            assert "<b>no</b>" not in text
        assert browser.get(reverse(f"{name}_add")).status_code == 403
        assert browser.post(reverse(f"{name}_change", args=[one.pk]), {"name": "x"}).status_code == 403
        assert browser.post(reverse(f"{name}_delete", args=[one.pk]), {"post": "yes"}).status_code == 403
    assert "&lt;b&gt;no&lt;/b&gt;" in page
