"""What an operator sees of this room: metrics that are right across processes, the console, and checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client, override_settings
from django.urls import reverse
from prometheus_client import CollectorRegistry, generate_latest

from core.clock import now
from events import checks, metrics
from events.metrics import StoreCollector
from events.models import InboxEntry, QuarantinedEntry
from tests.events.samples import Sender, an_event, answer_of, drain_everything


@pytest.fixture
def scraped() -> Iterator[Callable[[], dict[str, float]]]:
    """What a scrape of the stored figures says, by name."""
    registry = CollectorRegistry()
    registry.register(StoreCollector())

    def scrape() -> dict[str, float]:
        lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.split() for line in lines)}

    yield scrape


def test_a_scrape_tells_what_waits_and_what_was_done(limited: Sender, scraped: Callable[[], dict[str, float]]) -> None:
    events = [an_event() for _ in range(3)]
    answer_of(limited.post(events))
    before = scraped()
    assert (before["km_inbox_rows"], before["km_inbox_events"]) == (1, 3)
    assert before["km_inbox_age_seconds"] >= 0
    drain_everything()
    answer_of(limited.post(events))
    limited.post([an_event() for _ in range(20)])
    after = scraped()
    assert (after["km_inbox_rows"], after["km_quarantine_rows"], after["km_database_up"]) == (0, 0, 1)
    today = [after[f"km_today_{name}_events_total"] for name in ("stored", "duplicates", "refused")]
    assert today == [3, 3, 20]


def test_a_scrape_without_a_database_says_so(
    db: None, scraped: Callable[[], dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError

    monkeypatch.setattr(metrics, "_inbox", away)
    assert scraped()["km_database_up"] == 0


def test_the_metrics_page_counts_requests_by_status(sender: Sender) -> None:
    answer_of(sender.post([an_event()]))
    sender.post(b"nope")
    page = sender.client.get("/metrics").content.decode()
    assert 'km_http_requests_total{method="POST",route="api/events",status="200"}' in page
    assert 'km_http_requests_total{method="POST",route="api/events",status="400"}' in page
    assert 'km_ingest_refusals_total{code="invalid_body"}' in page
    assert "km_inbox_rows" in page


def quarantined(**fields: Any) -> QuarantinedEntry:
    return QuarantinedEntry.objects.create(
        customer_id=1,
        received_at=now(),
        kind="events",
        events=1,
        retry_at=now(),
        quarantined_at=now(),
        error="EventError: broken",
        body=b"{}",
        **fields,
    )


@pytest.fixture
def console(db: None) -> Client:
    """Signed in to the admin console."""
    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.create_superuser("root", "root@example.org", "a long enough password"))
    return client


def test_the_console_shows_quarantine_and_puts_rows_back(console: Client) -> None:
    row = quarantined()
    address = reverse("admin:events_quarantinedentry_changelist")
    assert "EventError: broken" in console.get(address).content.decode()
    assert console.get(reverse("admin:events_quarantinedentry_change", args=(row.pk,))).status_code == 200
    console.post(address, {"action": "redrive_all", "_selected_action": [row.pk]})
    assert (QuarantinedEntry.objects.count(), InboxEntry.objects.count()) == (0, 1)


def test_who_may_only_look_cannot_put_rows_back(console: Client) -> None:
    row = quarantined()
    looker = User.objects.create_user("looker", password="x", is_staff=True)
    console.force_login(looker)
    address = reverse("admin:events_quarantinedentry_changelist")
    assert console.post(address, {"action": "redrive_all", "_selected_action": [row.pk]}).status_code == 403
    assert QuarantinedEntry.objects.count() == 1


def test_the_redrive_command_wants_to_know_what(db: None) -> None:
    with pytest.raises(CommandError, match="--all"):
        call_command("redrive_quarantine")


def test_a_shortcut_that_is_not_first_is_noticed() -> None:
    assert checks.shortcut_comes_first() == []
    with override_settings(MIDDLEWARE=["django.middleware.common.CommonMiddleware", checks.SHORTCUT]):
        assert [message.id for message in checks.shortcut_comes_first()] == ["events.W001"]


def test_this_database_can_hold_events(db: None) -> None:
    assert checks.database_is_one_of_ours(databases=["default"]) == []
