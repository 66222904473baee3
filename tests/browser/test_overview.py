"""The overview in a browser: both themes, wide and narrow, light in weight, and the waiting page that notices."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Recording
from tests.browser.looks import WIDTHS, as_loaded, barriers, transferred
from tests.dashboard.traffic import Talk
from tests.end_to_end.service import Account, Service

pytestmark = pytest.mark.browser

MAX_TRANSFERRED_BYTES = 120_000


@pytest.fixture
def busy(service: Service, account: Account) -> None:
    """A day with slow and failing tools."""
    for hours in (30, 5, 0):
        talk = Talk(f"busy-{hours}", started_at=datetime.now(UTC) - timedelta(hours=hours, minutes=10))
        for number in range(12):
            asked = talk.request("tools/call", tool=f"tool_{number % 3}")
            fails = {"code": -32602, "message": "no"} if number % 5 == 0 else None
            talk.answer(asked, error=fails, after_ms=40.0 * number + 1)
        Recording(talk, service, account).send()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.usefixtures("busy")
def test_it_fits_keeps_still_and_can_be_read_by_everyone(
    width: int, account: Account, context: Callable[..., BrowserContext], sign_in: Callable[..., Page]
) -> None:
    page = sign_in(context(width=width), account)
    for path in ("/app/", "/app/?range=1h", "/app/?range=30d", "/app/components"):
        page.goto(path)
        assert as_loaded(page, path) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_first_steps_fit_and_can_be_read_by_everyone(
    width: int,
    service: Service,
    context: Callable[..., BrowserContext],
    sign_in: Callable[..., Page],
) -> None:
    page = sign_in(context(width=width), service.create_customer(f"New {width}", "free"), by_form=True)
    expect(page.get_by_role("heading", name="Connect your first MCP server")).to_be_visible()
    assert as_loaded(page, "first-steps") == []


@pytest.mark.usefixtures("busy")
def test_a_first_visit_is_light(page: Page) -> None:
    sizes = transferred(page, "/app/")
    assert len(sizes) >= 5  # page, style, htmx, script, icons
    assert sum(sizes.values()) <= MAX_TRANSFERRED_BYTES, sizes


@pytest.mark.usefixtures("busy")
def test_ranges_lists_and_charts_lead_on(page: Page) -> None:
    page.goto("/app/")
    page.get_by_role("link", name="Last 7 days").click()
    page.wait_for_url("**/app/?range=7d")
    page.locator("[data-chart]").first.locator("[data-words]").last.hover()
    expect(page.locator("[data-readout]").first).to_contain_text(re.compile(r"UTC: \d+ requests?, \d+ errors?"))
    page.get_by_text("The same numbers as a table").first.click()
    expect(page.get_by_role("table", name="Traffic, last 7 days").get_by_role("row")).to_have_count(29)
    page.get_by_role("region", name="Most failing tools").get_by_role("link").first.click()
    page.wait_for_url(re.compile(r"/app/events\?tool=\w+.*&errors=1&range=7d$"))
    expect(page.locator("tr[data-row]").first).to_contain_text("error")


@pytest.mark.usefixtures("busy")
def test_it_is_read_without_javascript(
    account: Account, context: Callable[..., BrowserContext], sign_in: Callable[..., Page]
) -> None:
    page = sign_in(context(scripts=False), account, by_form=True)
    assert page.locator(".plot svg rect").count() > 24
    page.get_by_text("The same numbers as a table").last.click()
    expect(page.get_by_role("table", name="Latency, last 24 hours")).to_be_visible()
    page.get_by_role("link", name="Last hour").click()
    expect(page.get_by_role("link", name="Last hour")).to_have_attribute("aria-current", "true")


@pytest.mark.usefixtures("earlier")
def test_the_keys_of_the_help_go_where_it_says(page: Page) -> None:
    page.goto("/app/")
    page.keyboard.press("?")
    places = page.get_by_role("dialog", name="Keyboard shortcuts").locator("dd", has_text="Go to")
    entries = page.get_by_role("navigation", name="Main").get_by_role("link")
    expect(places).to_have_count(entries.count())
    page.keyboard.press("Escape")
    for link in entries.all():
        key, address = link.get_attribute("data-key"), link.get_attribute("href")
        assert key
        with page.expect_navigation(url=f"**{address}**"):  # some lead on to their first page
            page.keyboard.press("g")
            page.keyboard.press(key)
        page.goto("/app/")


def test_a_newcomers_page_notices_the_first_message_and_says_when(
    service: Service,
    recording: Recording,
    context: Callable[..., BrowserContext],
    sign_in: Callable[..., Page],
) -> None:
    newcomer = service.create_customer("Newcomer", "free")
    page = sign_in(context(), newcomer)
    expect(page.get_by_text("Waiting for the first message")).to_be_visible()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").nth(1).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith("km-client monitor -- ")
    recording.account = newcomer
    recording.talk.request("initialize")
    recording.send()
    expect(page.get_by_text("The first message came")).to_be_visible()
    assert barriers(page) == []
    page.get_by_role("link", name="See the session").click()
    page.wait_for_url(f"**{recording.address}")
    page.goto("/app/")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
