"""The admin console in a real browser: its scripts run under its policy, and a key is issued by clicking."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, Request
from pytest_django.live_server_helper import LiveServer

from core.clock import now
from customers import accounts, api_keys, device_codes, machines
from customers.authentication import Principal
from customers.machines import MachineReport, PluginReport
from customers.models import Machine, Subscription
from events.models import DailyRollup, QuarantinedEntry
from tests.browser.chromium import CHROMIUM, is_error, profiles
from tests.browser.looks import barriers
from tests.plugins_registry.console.world import World, manifest
from tests.plugins_registry.storing import moved

PICTURES = os.environ.get("KM_TEST_PICTURES", "")  # a directory to look at the pages in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
]


def _is_broken(request: Request) -> bool:
    """Whether something could not be had, rather than given up because the next page was opened."""
    return request.failure != "net::ERR_ABORTED"


@pytest.fixture
def page(live_server: LiveServer) -> Iterator[tuple[Page, list[str]]]:
    """A page of Chromium, and what its console complained about."""
    with profiles() as browser:
        page = browser.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if is_error(message) else None)
        page.on("requestfailed", lambda request: complaints.append(request.url) if _is_broken(request) else None)
        yield page, complaints


def test_a_key_is_issued_by_clicking_and_nothing_is_blocked(
    page: tuple[Page, list[str]], live_server: LiveServer
) -> None:
    browser, complaints = page
    User.objects.create_superuser("ops", "ops@example.org", "console passphrase")
    customer = accounts.create_customer("Acme", "pro", at=now())
    browser.goto(f"{live_server.url}/admin/customers/apikey/add/?customer={customer.pk}")
    browser.fill("[name=username]", "ops")
    browser.fill("[name=password]", "console passphrase")
    browser.click("button[type=submit]")
    browser.fill("[name=name]", "laptop")
    browser.click("button[name=_save], input[name=_save]")
    secret = browser.locator("#secret").inner_text()
    assert api_keys.find(secret).name == "laptop"
    browser.get_by_text("I have copied it").click()
    browser.get_by_role("link", name="Revoke", exact=True).click()
    browser.get_by_role("button", name="Revoke").click()
    browser.get_by_text("The key is revoked.").wait_for()
    assert api_keys.find(secret).revoked_at is not None
    assert complaints == []


def a_days_work() -> tuple[World, QuarantinedEntry]:
    """A customer with a key, a machine, a plugin, old events and some that are stuck; a plugin waits for its review."""
    world = World()
    world.build(world.published(world.revision(manifest(features={"required": ["api_logging"], "optional": []}))))
    world.to_review(world.revision(manifest("risk-radar")))
    who = Principal(world.acme.pk, "", "", "pro", frozenset(), None, 90, frozenset(), 1, "key_1")
    told = MachineReport("a" * 32, "ann-laptop", "Linux 6.1", plugins=[PluginReport("slow-tools", "1.2.0", "running")])
    machines.report(who, told, at=now())
    device_codes.start(device_codes.Asking("km-client", name="ann-laptop"), address="203.0.113.7", at=now())
    api_keys.issue(world.acme, "laptop", at=now())
    DailyRollup.objects.create(customer_id=world.acme.pk, at=now() - timedelta(days=30), events=12_400, server="s")
    stuck = QuarantinedEntry.objects.create(
        customer_id=world.acme.pk, received_at=now(), kind="events", events=3, attempts=4, retry_at=now(),
        error="ValueError: no such column", body=b'{"events": []}', quarantined_at=now(),
    )  # fmt: skip
    return world, stuck


def test_every_page_of_an_operators_day_can_be_read_by_everybody(
    page: tuple[Page, list[str]], live_server: LiveServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From what needs somebody to a customer, a preview of a downgrade that is confirmed, quarantine and health."""
    browser, complaints = page
    moved(monkeypatch, tmp_path / "registry")
    world, stuck = a_days_work()
    operator_enters(browser, live_server.url)
    wrong = _looked_at(browser, "start")
    browser.get_by_role("link", name="Quarantine requests could not be stored").wait_for()
    for name, path in {
        "customer": f"customers/customer/{world.acme.pk}/change/",
        "machine": f"customers/machine/{Machine.objects.get().pk}/change/",
        "quarantine": f"events/quarantinedentry/{stuck.pk}/change/",
        "health": "health/",
    }.items():
        browser.goto(f"{live_server.url}/admin/{path}")
        wrong += _looked_at(browser, name)
    browser.goto(f"{live_server.url}/admin/customers/customer/{world.acme.pk}/change/")
    browser.get_by_role("link", name="Change tier…").click()
    browser.locator("[name=tier]").select_option(label="Free")
    browser.get_by_role("button", name="Show what it would do").click()
    browser.get_by_text("12,400 events of 1 day are deleted").wait_for()
    browser.get_by_text("the plugin slow-tools stops with the next refresh").wait_for()
    wrong += _looked_at(browser, "what-if")
    browser.get_by_role("button", name="Change the subscription").click()
    browser.get_by_text("The subscription is changed.").wait_for()
    browser.goto(f"{live_server.url}/admin/events/quarantinedentry/{stuck.pk}/look/")
    browser.get_by_role("button", name="Show the beginning").click()
    browser.locator("#beginning").wait_for()
    wrong += _looked_at(browser, "beginning")
    assert Subscription.objects.get(customer=world.acme).tier.code == "free"
    assert (wrong, complaints) == ([], [])


def operator_enters(page: Page, url: str) -> None:
    """Somebody who may do everything, on the console's first page."""
    User.objects.create_superuser("ops", "ops@example.org", "console passphrase")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{url}/admin/")
    page.fill("[name=username]", "ops")
    page.fill("[name=password]", "console passphrase")
    page.click("button[type=submit]")
    page.get_by_role("heading", name="What needs you").wait_for()


def _looked_at(page: Page, name: str) -> list[str]:
    """What axe-core finds in our part of the page; unfold's frame around it is unfold's."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"console-{name}.png", full_page=True)
    return [f"{name}: {each}" for each in barriers(page, within=".km")] if page.locator(".km").count() else []
