"""A session that ends while a page is open, in a real browser: it goes to sign in and comes back to where it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from alerts import wakeup
from core.clock import now
from customers import accounts
from customers.models import ApiKey
from dashboard.session_ids import SessionIdConverter
from tests.browser.chromium import CHROMIUM, WITHIN_MS
from tests.browser.in_process import chromium
from tests.dashboard.elsewhere import Everything, everything_of
from tests.plugins_registry.console.world import World
from tests.plugins_registry.storing import moved

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
]


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, live_server: LiveServer) -> Everything:
    monkeypatch.setattr(wakeup, "_send", lambda: None)
    moved(monkeypatch, tmp_path / "registry")
    made = everything_of(accounts.create_customer("Acme", "pro", at=now()), World(), word="ordinary", at=now())
    Authenticator.objects.all().delete()  # a password is enough for who signs in again here
    return made


@pytest.fixture
def page(ours: Everything, live_server: LiveServer) -> Iterator[Page]:
    with chromium(live_server) as browser:
        page, did = browser.page_of(ours.boss.user)
        yield page
        assert did == []


def end_session() -> None:
    Session.objects.update(expire_date=now() - timedelta(days=1))


def comes_back(page: Page, ours: Everything, address: str) -> None:
    """The page is the sign-in page, whole and once, and leads back."""
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=WITHIN_MS)
    assert page.locator("form[action='/app/login']").count() == 1
    assert page.locator("dialog[open]").count() == 0
    page.get_by_label("E-mail").fill(ours.boss.user.email)
    page.get_by_label("Password").fill(ours.boss.user.email)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(re.compile(re.escape(address) + "$"))


@pytest.mark.parametrize("address", ["/app/events", "/app/sessions", "session"])
def test_a_page_that_polls_goes_to_sign_in_by_itself(page: Page, ours: Everything, address: str) -> None:
    if address == "session":
        address = f"/app/sessions/{SessionIdConverter().to_url(ours.words['session'])}"
    page.goto(address)
    end_session()
    comes_back(page, ours, address)


def test_a_drawer_shows_no_sign_in_form_within(page: Page, ours: Everything) -> None:
    page.goto("/app/events?type=request")
    page.locator("[data-pause]").first.click()
    end_session()
    page.locator("[data-drawer]").first.click()
    comes_back(page, ours, "/app/events?type=request")


def test_a_row_that_opens_shows_no_sign_in_form_within(page: Page, ours: Everything) -> None:
    address = f"/app/sessions/{SessionIdConverter().to_url(ours.words['session'])}"
    page.goto(address)
    page.locator("[data-pause]").first.click()
    end_session()
    page.locator("#exchanges summary.line").first.click()
    comes_back(page, ours, address)


def test_a_form_says_that_nothing_was_changed(page: Page, ours: Everything) -> None:
    page.goto("/app/settings/keys")
    keys = ApiKey.objects.count()
    page.locator("form[action$='/keys/issue'] [name=name]").fill("laptop")
    end_session()
    page.get_by_role("button", name="Issue the key").click()
    expect(page.get_by_text("Your session had ended, so nothing was changed.")).to_be_visible()
    assert ApiKey.objects.count() == keys
    comes_back(page, ours, "/app/settings/keys")


def test_a_file_is_not_the_sign_in_page_under_its_name(page: Page, ours: Everything) -> None:
    files: list[str] = []
    page.on("download", lambda file: files.append(file.suggested_filename))
    page.goto("/app/events")
    page.locator("[data-pause]").first.click()
    end_session()
    page.get_by_role("link", name="CSV").click()
    expect(page.get_by_text("Your session had ended")).to_be_visible()
    comes_back(page, ours, "/app/events")
    assert files == []
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV").click()
    assert started.value.suggested_filename.endswith(".csv")
