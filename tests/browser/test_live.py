"""What moves: rows that come by themselves, the switch that stops them, keys, filter and theme."""

from __future__ import annotations

import uuid

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.conftest import Complaints, Recording
from tests.dashboard.traffic import Talk

pytestmark = pytest.mark.browser


def mark(page: Page) -> None:
    """Leave something on the page that a reload would take away."""
    page.evaluate("window.notReloaded = true")


def is_marked(page: Page) -> bool:
    return bool(page.evaluate("window.notReloaded === true"))


def test_new_messages_and_awaited_answers_appear_without_a_reload(page: Page, recording: Recording) -> None:
    talk = recording.talk
    asked = talk.request("tools/call", {"name": "slow"}, tool="slow")
    recording.send()
    page.goto(recording.address)
    mark(page)
    row = page.locator("#exchanges [data-row]").first
    expect(row).to_contain_text("waiting for the response")
    row.locator("summary.line").click()
    expect(row.locator(".sides")).to_contain_text("waiting for the response")
    talk.answer(asked, {"content": [{"type": "text", "text": "at last"}]}, after_ms=4000)
    talk.notify("notifications/message", {"data": "hello"})
    recording.send()
    expect(page.locator("#exchanges [data-row]")).to_have_count(2)
    expect(row.locator("summary.line")).to_contain_text("4.00 s")
    expect(row.locator("summary.line")).not_to_contain_text("waiting")
    expect(row.locator(".code.pretty").last).to_contain_text("at last")
    assert row.locator("details.exchange").evaluate("element => element.open")
    expect(page.locator("#session-head")).to_contain_text("3 1 request")
    talk.notify("notifications/message", {"data": "again"})
    recording.send()
    expect(page.locator("#exchanges [data-row]")).to_have_count(3)
    assert is_marked(page)


@pytest.mark.usefixtures("earlier")
def test_a_new_session_appears_in_the_list_without_a_reload(page: Page, recording: Recording) -> None:
    page.goto("/app/sessions")
    mark(page)
    recording.talk.server = {"name": f"server-{recording.talk.session_id}"}
    recording.talk.request("initialize")
    recording.send()
    expect(page.get_by_role("link", name=f"server-{recording.talk.session_id}")).to_be_visible()
    assert is_marked(page)


def test_paused_the_page_asks_for_nothing_until_it_is_resumed(page: Page, recording: Recording) -> None:
    recording.talk.notify("n/first")
    recording.send()
    page.clock.install()
    page.goto(recording.address)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Updates paused")).to_be_visible()
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    recording.talk.notify("n/second")
    recording.send()
    page.clock.run_for(60_000)
    assert asked == []
    page.keyboard.press("p")
    expect(page.get_by_text("Live updates", exact=True)).to_be_visible()
    page.clock.run_for(3_000)
    expect(page.locator("#exchanges [data-row]")).to_have_count(2)


def test_a_server_that_is_away_is_said_until_it_is_back(
    page: Page, recording: Recording, complaints: Complaints
) -> None:
    recording.talk.notify("n/first")
    recording.send()
    page.goto(recording.address)
    page.route("**/live?*", lambda route: route.abort())
    expect(page.get_by_text("Server not reachable")).to_be_visible()
    page.unroute("**/live?*")
    expect(page.get_by_text("Live updates", exact=True)).to_be_visible()
    complaints.forgive("ERR_FAILED")
    complaints.forgive("htmx:")


def test_a_sign_in_that_ends_in_the_middle_leads_to_the_sign_in_page(
    page: Page, recording: Recording, complaints: Complaints
) -> None:
    recording.talk.notify("n/first")
    recording.send()
    page.goto(recording.address)
    page.context.clear_cookies(name="sessionid")
    page.wait_for_url(f"**/app/login?next={recording.address}")
    complaints.forgive("401")


def test_the_list_keeps_the_focus_of_a_keyboard_user_through_an_update(page: Page, recording: Recording) -> None:
    recording.talk.request("initialize")
    recording.send()
    page.goto("/app/sessions")
    link = page.locator(f'a[href="{recording.address}"]')
    link.focus()
    other = Talk(uuid.uuid4().hex, started_at=recording.talk.started_at, server={"name": "another"})
    other.request("initialize")
    other.post(recording.service.url, recording.account.api_key)
    expect(page.locator(f'a[href="/app/sessions/{other.session_id}"]')).to_be_visible()
    expect(link).to_be_focused()


def test_keys_filter_open_and_help(page: Page, recording: Recording) -> None:
    talk = recording.talk
    for tool in ("git_log", "git_diff", "read_file"):
        talk.answer(talk.request("tools/call", tool=tool), {"content": []})
    talk.answer(talk.request("tools/call", tool="git_blame"), error={"code": -1, "message": "no such file"})
    recording.send()
    page.goto(recording.address)
    rows = page.locator("#exchanges [data-row]:not([hidden])")
    page.keyboard.press("/")
    page.keyboard.type("git_ tools")
    expect(rows).to_have_count(3)
    expect(page.get_by_role("status").filter(has_text="of")).to_have_text("3 of 4 rows on this page")
    page.get_by_label("Errors only").check()
    expect(rows).to_have_count(1)
    page.get_by_label("Errors only").uncheck()
    page.get_by_label("Filter the rows of this page").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(rows.nth(1).locator("summary.line")).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(rows.nth(0).locator(".sides")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("e")
    page.wait_for_url("**/app/events")


def test_a_filter_that_matches_nothing_says_so_and_holds_for_new_rows(page: Page, recording: Recording) -> None:
    recording.talk.notify("n/first")
    recording.send()
    page.goto(recording.address)
    page.get_by_label("Filter the rows of this page").fill("needle")
    expect(page.get_by_text("No row on this page holds these words.")).to_be_visible()
    recording.talk.notify("n/hay")
    recording.talk.notify("n/needle")
    recording.send()
    expect(page.locator("#exchanges [data-row]:not([hidden])")).to_have_count(1)
    expect(page.get_by_text("No row on this page holds these words.")).to_be_hidden()


def test_the_theme_changes_at_once_and_stays(page: Page) -> None:
    page.goto("/app/settings/usage")
    mark(page)
    page.get_by_role("button", name="Theme: system. Change").click()
    page.get_by_role("button", name="Theme: light. Change").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(12, 14, 17)"
    assert is_marked(page)
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_first_tab_stop_skips_to_the_content(page: Page) -> None:
    page.goto("/app/settings/usage")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
