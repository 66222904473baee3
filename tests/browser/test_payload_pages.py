"""Every page there is, in a real browser, of a customer in whose every word there is a script: none runs.

A page of `/app` obeys a policy that would stop one too, and says so when it has to: nothing had to be stopped. The
console's pages may run inline scripts, so there the words alone must do no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from alerts import wakeup
from core.clock import now
from customers import accounts
from dashboard.session_ids import SessionIdConverter
from tests.browser.chromium import CHROMIUM
from tests.browser.in_process import InProcess, chromium
from tests.dashboard.elsewhere import Everything
from tests.dashboard.hostile import HOSTILE, app_pages, console_pages, hostile_customer
from tests.plugins_registry.console.world import World
from tests.plugins_registry.storing import moved

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
]

UNEXPECTED = """() => [
  ...document.querySelectorAll("img[src='x'], script:not([src]):not([type='application/json']), iframe, object, embed"),
].filter((each) => each.outerHTML.includes("__xss")).map((each) => each.outerHTML.slice(0, 200))"""


DONE = f"[window.__xss ?? null, window.__violations, document.body.innerText.includes('__xss'), ({UNEXPECTED})()]"


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, live_server: LiveServer) -> Everything:
    monkeypatch.setattr(wakeup, "_send", lambda: None)
    moved(monkeypatch, tmp_path / "registry")
    return hostile_customer(World(), accounts.create_customer("Acme", "pro", at=now()), at=now())


@pytest.fixture
def browser(hostile: Everything, live_server: LiveServer) -> Iterator[InProcess]:
    with chromium(live_server) as running:
        yield running


def is_page(page: Page, path: str) -> bool:
    """Whether an address is a page, rather than a file, or what only a form is sent to."""
    answer = page.request.head(path)
    return "html" in answer.headers.get("content-type", "") and answer.status not in {204, 405}


def visit(page: Page, path: str, did: list[str]) -> bool:
    """Open the page of an address; whether it shows a word. What it does is noted."""
    before = len(did)
    page.goto(path)
    ran, violations, says, unexpected = page.evaluate(DONE)
    did += [f"it ran: {ran}"] if ran is not None else []
    did += [f"the policy had to stop {each}" for each in violations]
    did += unexpected
    did[before:] = [f"{path}: {each}" for each in did[before:]]
    return bool(says)


def test_no_page_of_the_dashboard_runs_a_word(browser: InProcess, hostile: Everything) -> None:
    page, did = browser.page_of(hostile.boss.user)
    shown = sum(visit(page, path, did) for path in app_pages(hostile) if is_page(page, path))
    assert did == []
    assert shown > 30


def test_what_opens_by_a_click_runs_no_word(browser: InProcess, hostile: Everything) -> None:
    page, did = browser.page_of(hostile.boss.user)
    page.goto("/app/events")
    page.locator("[data-drawer]").first.click()
    page.locator("#drawer[open]").wait_for()
    page.goto(f"/app/sessions/{SessionIdConverter().to_url(hostile.words['session'])}")
    for row in page.locator("#exchanges summary.line").all():
        row.click()
    page.locator("#exchanges .sides").last.wait_for()
    assert page.evaluate("[window.__xss ?? null, window.__violations]") == [None, []]
    assert page.evaluate(UNEXPECTED) == []
    assert did == []


def test_no_page_of_the_console_runs_a_word(browser: InProcess, hostile: Everything) -> None:
    page, did = browser.page_of(User.objects.create(username=f"ops {HOSTILE}", is_staff=True, is_superuser=True))
    shown = sum(visit(page, path, did) for path in console_pages())
    assert did == []
    assert shown > 30
