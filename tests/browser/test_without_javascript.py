"""JavaScript off: every page is read, everything with a form is done, nothing waits for a script that never comes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from alerts import wakeup
from alerts.models import Rule
from core.clock import now
from customers import accounts
from customers.models import ApiKey, Invitation
from tests.browser.chromium import CHROMIUM
from tests.browser.in_process import InProcess, chromium
from tests.dashboard.addresses import NOBODYS, filled, pieces, routes
from tests.dashboard.elsewhere import Everything, everything_of
from tests.dashboard.test_roles import OPEN
from tests.dashboard.traffic import Talk
from tests.plugins_registry.console.world import World
from tests.plugins_registry.storing import moved

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
]

WAITS = re.compile(r"loading|please wait|waiting for|javascript", re.IGNORECASE)
PARTS = re.compile(r"/live|/opened$|/whole$|/more$|first-event$")  # asked for by scripts, and pages of nobody's
SHOWCASE = "components"  # of every button there is, and none of them for anything
WHO_NEEDS_IT = {"mfa_add_webauthn", "mfa_reauthenticate_webauthn", "mfa_login_webauthn"}
"""A passkey is made and used by a script of the browser's own; these pages say so."""


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, live_server: LiveServer) -> Everything:
    monkeypatch.setattr(wakeup, "_send", lambda: None)
    moved(monkeypatch, tmp_path / "registry")
    made = everything_of(accounts.create_customer("Acme", "pro", at=now()), World(), word="ordinary", at=now())
    talk = Talk("many", started_at=now())
    for _ in range(120):
        talk.notify("n/tick")
    talk.store(made.customer)
    Authenticator.objects.all().delete()  # a password is enough for who signs in here
    return made


@pytest.fixture
def browser(ours: Everything, live_server: LiveServer) -> Iterator[InProcess]:
    with chromium(live_server) as running:
        yield running


@pytest.fixture
def page(browser: InProcess, ours: Everything) -> Iterator[Page]:
    """Signed in, without scripts."""
    page, did = browser.page_of(ours.boss.user, scripts=False)
    yield page
    assert did == []


def test_every_page_can_be_read_and_waits_for_nothing(page: Page, ours: Everything) -> None:
    read = 0
    for written, pattern in routes("app/"):
        path = filled(written, ours.ids) if set(pieces(written)) <= set(NOBODYS) else ""
        if not path or "?P<" in written or PARTS.search(path) or pattern.name in OPEN | WHO_NEEDS_IT:
            continue
        answer = page.request.get(path)
        if answer.status != 200 or "html" not in answer.headers["content-type"]:
            continue
        page.goto(path)
        expect(page.locator("h1").first).to_be_visible()
        words = page.locator("main, body").first.inner_text()
        assert not WAITS.search(words), (path, WAITS.search(words))
        assert len(words) > 30, path
        dead = page.locator("button:visible:not([type=submit]):not([value])").evaluate_all(
            "all => all.filter(each => !each.form && !each.closest('details')).map(each => each.outerHTML)"
        )
        assert dead == [] or pattern.name == SHOWCASE, f"{path}: a button that nothing happens to"
        read += 1
    assert read > 30


def test_signing_in_filtering_and_turning_pages_need_no_script(browser: InProcess, ours: Everything) -> None:
    page = browser.browser.new_context(base_url=browser.server.url, java_script_enabled=False).new_page()
    page.goto("/app/events")
    page.get_by_label("E-mail").fill(ours.boss.user.email)
    page.get_by_label("Password").fill(ours.boss.user.email)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(re.compile("/app/events$"))
    expect(page.get_by_text("n/tick").first).to_be_visible()
    page.get_by_role("link", name=re.compile("Older|Next", re.IGNORECASE)).first.click()
    expect(page).to_have_url(re.compile("before="))
    page.goto("/app/events")
    page.locator("form [name=method]").first.fill("tools/call")
    page.locator("form [name=method]").first.press("Enter")
    expect(page).to_have_url(re.compile("method=tools"))
    assert page.get_by_text("n/tick").count() == 0
    page.locator("a[data-drawer]").first.click()
    expect(page).to_have_url(re.compile("/app/events/[0-9a-f-]{36}$"))
    expect(page.locator(".code").first).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_key_a_member_and_a_rule_are_made_without_a_script(page: Page) -> None:
    page.goto("/app/settings/keys")
    page.locator("form[action$='/keys/issue'] [name=name]").fill("laptop")
    page.get_by_role("button", name="Issue the key").click()
    expect(page.get_by_text(re.compile("km_live_")).first).to_be_visible()
    assert ApiKey.objects.filter(name="laptop").exists()
    page.goto("/app/settings/members")
    form = page.locator("form[action$='/members/invite']")
    form.locator("[name=email]").fill("new@acme.example")
    form.locator("[name=email]").press("Enter")
    expect(page.get_by_text("A letter is on its way to new@acme.example.")).to_be_visible()
    assert Invitation.objects.filter(email="new@acme.example").exists()
    assert mail.outbox[-1].to == ["new@acme.example"]
    page.goto("/app/alerts/rules/new?kind=errors")
    page.locator("[name=name]").fill("Too many errors")
    page.get_by_role("button", name="Make the rule").click()
    expect(page.get_by_text("“Too many errors” is saved.")).to_be_visible()
    assert Rule.objects.filter(name="Too many errors").exists()
