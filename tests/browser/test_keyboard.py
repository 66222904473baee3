"""The keyboard: the help names exactly what works on the page it is opened on, and each of it does."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from dashboard.navigation import places
from tests.browser.conftest import Recording

pytestmark = pytest.mark.browser

OF_A_PAGE = {"Search or filter", "Next, previous row", "Open the row", "Pause and resume live updates"}


@pytest.mark.parametrize(
    ("path", "lacking"),
    [
        ("/app/events", set()),
        ("/app/plugins", {"Next, previous row", "Open the row", "Pause and resume live updates"}),
        ("/app/settings/usage", OF_A_PAGE),
    ],
)
def test_the_help_lists_what_works_on_this_page(page: Page, recording: Recording, path: str, lacking: set[str]) -> None:
    recording.talk.notify("n/said")
    recording.send()
    page.goto(path)
    page.keyboard.press("?")
    shown = {line.inner_text() for line in page.locator("#help dd:visible").all()}
    assert shown & OF_A_PAGE == OF_A_PAGE - lacking
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.matches('input')") is ("Search or filter" not in lacking)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.matches('a.name, summary, [data-row] a')") is (
        "Open the row" not in lacking
    )


def test_g_and_a_letter_go_to_each_place(page: Page, earlier: None) -> None:
    page.goto("/app/events")
    for place in places():
        page.keyboard.press("g")
        page.keyboard.press(place.key)
        page.wait_for_url(f"**{place.url}*" if place.label != "Settings" else "**/app/settings/**")
        expect(page.locator(".bar .nav [aria-current]")).to_have_text(place.label)


def test_the_first_stop_is_the_way_past_the_bar_and_focus_is_seen(page: Page) -> None:
    page.goto("/app/settings/usage")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
