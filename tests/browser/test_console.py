"""The admin console in a real browser: its scripts run under its policy, and a key is issued by clicking."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from core.clock import now
from customers import accounts, api_keys

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Page, list[str]]]:
    """A page of Chromium, and what its console complained about."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps a loop in this thread
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("requestfailed", lambda request: complaints.append(request.url))
        page.route("**/favicon.ico", lambda route: route.fulfill(status=204))  # a browser's own idea, not the page's
        yield page, complaints
        browser.close()


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
