"""Alerts in a browser: a rule is tried out and made, a real incident is told to a real receiver, everybody can read it.

Django's live server, so that the evaluator and the sender run here, when the test says.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from alerts import destinations, rules, sending, wakeup
from alerts.evaluator import evaluate
from alerts.models import Delivery, Incident, Rule
from core.clock import now
from customers import accounts
from customers.models import Customer, Member
from tests.alerts.receivers import Receiver, Reply
from tests.browser.chromium import CHROMIUM, is_error, profiles
from tests.browser.looks import WIDTHS, as_loaded
from tests.dashboard.traffic import Talk

PASSWORD = "correct horse battery staple"
COMPLAINTS: list[str] = []
"""What a page's console said."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
]


@pytest.fixture
def chromium(monkeypatch: pytest.MonkeyPatch, settings: LazySettings, live_server: LiveServer) -> Iterator[Browser]:
    """A browser that is gone before the database is emptied."""
    monkeypatch.setattr(wakeup, "_send", lambda: None)
    settings.WEBHOOK_PRIVATE_NETWORKS = [ip_network("127.0.0.0/8")]
    cache.clear()
    with profiles() as browser:
        yield browser
    assert not COMPLAINTS


@pytest.fixture
def acme(transactional_db: None) -> Customer:
    made = accounts.create_customer("Acme Robotics", "pro", at=now())
    accounts.add_member(made, "ann@acme.example", PASSWORD, Member.Role.OWNER, at=now())
    talk = Talk("s-1", started_at=now() - timedelta(seconds=50))
    for number in range(60):
        asked = talk.request("tools/call", tool="git_push" if number % 3 else "git_log")
        talk.answer(asked, error={"code": -1, "message": "no"} if number % 4 == 0 else None, after_ms=40)
    talk.store(made)
    return made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def signed_in(chromium: Browser, url: str, *, width: int = 1440) -> Page:
    profile = chromium.new_context(viewport={"width": width, "height": 900}, base_url=url)
    page = profile.new_page()
    page.on("console", lambda said: COMPLAINTS.append(said.text) if is_error(said) else None)
    page.goto("/app/alerts")
    page.get_by_label("E-mail").fill("ann@acme.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/app/alerts")
    return page


def test_from_the_first_rule_to_a_message_that_arrived(
    chromium: Browser, live_server: LiveServer, acme: Customer, receiver: Receiver
) -> None:
    page = signed_in(chromium, live_server.url)
    page.get_by_role("link", name="Destinations").click()
    page.get_by_label("Name").last.fill("Pager")
    page.get_by_label("Address").fill(receiver.url)
    page.get_by_role("button", name="Add the webhook").click()
    secret = page.locator(".snippet code").inner_text()
    assert secret.startswith("whsec_")
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("link", name="Alerts", exact=True).last.click()
    page.get_by_role("link", name="New rule").click()
    page.get_by_role("link", name="Too many requests fail").click()
    page.get_by_label("Failing from, %").fill("90")
    page.get_by_role("button", name="Try it out").click()
    expect(page.get_by_role("heading", name="would have fired 0 times")).to_be_visible()
    page.get_by_label("Failing from, %").fill("20")
    page.get_by_role("button", name="Try it out").click()
    expect(page.get_by_role("heading", name="would have fired 1 time")).to_be_visible()
    expect(page.get_by_label("Pager")).to_be_checked()
    page.get_by_role("button", name="Make the rule").click()
    expect(page.get_by_text("is saved")).to_be_visible()
    evaluate(clock=now)
    receiver.replies = [Reply(500, body=b"not today"), Reply(204)]
    sending.send_due(clock=now)
    sending.send_due(clock=lambda: now() + timedelta(minutes=1))
    assert len(receiver.received) == 2
    page.reload()
    page.get_by_role("link", name="Error rate").first.click()
    expect(page.get_by_text("Pager was told that it began (try 2)")).to_be_visible()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("Acknowledged by ann@acme.example")).to_be_visible()
    page.get_by_role("link", name="Events that show it").click()
    expect(page.locator("tr[data-row]").first).to_contain_text("error")
    page.goto("/app/alerts/messages")
    page.get_by_role("link", name="Error rate").click()
    expect(page.get_by_text("not today")).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits_keeps_still_and_can_be_read_by_everyone(
    width: int, chromium: Browser, live_server: LiveServer, acme: Customer, receiver: Receiver
) -> None:
    page = signed_in(chromium, live_server.url, width=width)
    for path in ("", "/incidents", "/destinations", "/messages"):
        page.goto(f"/app/alerts{path}")
        assert as_loaded(page, f"empty{path.replace('/', '-')}") == []
    pager, _ = destinations.add_webhook(acme, "Pager", receiver.url, at=now(), actor="user:ann")
    members = list(Member.objects.filter(customer=acme).values_list("pk", flat=True))
    mail = destinations.add_email(acme, "On call", members, at=now(), actor="user:ann")
    for kind in ("errors", "latency", "silence", "quota", "definition"):
        draft = rules.defaults(kind)
        rule = rules.create(acme, draft, at=now(), actor="user:ann")
        rule.destinations.set([pager, mail])
    rules.mute(Rule.objects.all()[1], 60, at=now(), actor="user:ann")
    rules.switch(Rule.objects.all()[2], on=False, at=now(), actor="user:ann")
    evaluate(clock=now)
    sending.send_due(clock=now)
    first = Rule.objects.all()[0]
    over = {"rule": first, "opened_at": now() - timedelta(hours=9), "resolved_at": now() - timedelta(hours=8)}
    Incident.objects.create(customer=acme, value=12.5, worst=20, counted=840, **over, **rules.copied(first))
    opened = Incident.objects.get(resolved_at=None)
    message = Delivery.objects.get(destination=pager)
    pages = {
        "alerts": "",
        "incidents": "/incidents",
        "incident": f"/incidents/{opened.public_id}",
        "kinds": "/rules/new",
        "new": "/rules/new?kind=silence",
        "rule": f"/rules/{first.public_id}",
        "destinations": "/destinations",
        "messages": "/messages",
        "message": f"/messages/{message.public_id}",
    }
    for name, path in pages.items():
        page.goto(f"/app/alerts{path}")
        assert as_loaded(page, name) == []
