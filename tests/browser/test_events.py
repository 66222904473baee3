"""The events in a browser: live, paused, narrowed, opened beside the list, exported; both themes, wide and narrow."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.browser.conftest import Recording
from tests.browser.looks import WIDTHS, as_loaded, in_this_window
from tests.end_to_end.service import Account, Service
from tests.end_to_end.waiting import eventually

pytestmark = pytest.mark.browser

EXPORTED = re.compile(r"events_exported .*events=(\d+) .*is_whole=(\w+)")
HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'${7*7}"


@pytest.fixture
def talked(recording: Recording) -> Recording:
    """A call and its failed answer, a notification, and a line that is no JSON."""
    talk = recording.talk
    talk.server = {"name": f"server-{talk.session_id[:8]}", "version": "1.0"}
    asked = talk.request("tools/call", {"name": "git_log", "arguments": {"path": "/home/ann/src"}}, tool="git_log")
    talk.answer(asked, error={"code": -32602, "message": "no such path"}, after_ms=1250)
    talk.notify("notifications/progress", {"progress": 50})
    talk.line(b"npm WARN deprecated")
    recording.send()
    return recording


def of(recording: Recording) -> str:
    """The list of one recording's events."""
    return f"/app/events?session={recording.talk.session_id}"


@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_keeps_still_and_can_be_read_by_everyone(
    width: int,
    talked: Recording,
    account: Account,
    context: Callable[..., BrowserContext],
    sign_in: Callable[..., Page],
) -> None:
    page = sign_in(context(width=width), account)
    for path in (
        of(talked),
        "/app/events?tool=nothing-like-it",
        "/app/events?from=2016-11-22T00:00&to=2036-11-22T00:00",
    ):
        page.goto(path)
        assert as_loaded(page, path) == []
    page.goto(of(talked))
    page.get_by_role("link", name="tools/call").first.click()
    drawer = page.get_by_role("dialog", name="Event")
    expect(drawer).to_contain_text("no such path")
    assert in_this_window(page, "drawer") == []


def test_new_events_come_by_themselves_while_one_is_read_and_not_while_paused(page: Page, talked: Recording) -> None:
    page.clock.install()
    page.goto(of(talked))
    rows = page.locator("#events tr[data-row]")
    expect(rows).to_have_count(4)
    page.get_by_role("link", name="notifications/progress").click()
    drawer = page.get_by_role("dialog", name="Event")
    expect(drawer).to_contain_text("progress")
    talked.talk.notify("notifications/message", {"data": "new"})
    talked.send()
    page.clock.run_for(4_000)
    expect(rows).to_have_count(5)
    expect(drawer).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="notifications/progress")).to_be_focused()
    page.get_by_role("button", name="Pause").click()
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    talked.talk.notify("notifications/message", {"data": "newer"})
    talked.send()
    page.clock.run_for(60_000)
    assert asked == []
    expect(rows).to_have_count(5)


def test_the_drawer_shows_the_pair_as_a_tree_and_copies_it(page: Page, talked: Recording) -> None:
    page.goto(of(talked))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="tools/call").first.click()  # the answer
    request = page.get_by_role("region", name="Request")
    expect(request).to_contain_text('"path": "/home/ann/src"')
    expect(page.get_by_role("region", name="Error response")).to_contain_text("no such path")
    request.get_by_text("Tree", exact=True).click()
    tree = request.get_by_role("group", name="Message, as a tree")
    expect(tree).to_contain_text('"path": "/home/ann/src"')
    tree.locator("summary", has_text="arguments").click()
    expect(tree.get_by_text('"/home/ann/src"')).to_be_hidden()
    request.get_by_role("button", name="Copy").click()
    expect(request.get_by_role("button", name="Copied")).to_be_visible()
    assert json.loads(page.evaluate("navigator.clipboard.readText()"))["method"] == "tools/call"


def test_the_form_makes_an_address_that_shows_the_same(page: Page, talked: Recording) -> None:
    page.goto("/app/events")
    page.keyboard.press("/")
    page.keyboard.type("git_log")
    page.get_by_label("Server", exact=True).fill(talked.talk.server["name"])
    page.get_by_label("Errors only").check()
    page.get_by_role("button", name="Show").click()
    rows = page.locator("#events tr[data-row]")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("-32602 no such path")
    page.goto(page.url)
    expect(rows).to_have_count(1)
    expect(page.get_by_label("Tool")).to_have_value("git_log")
    with page.expect_download() as started:
        page.get_by_role("link", name="JSONL").click()
    assert [json.loads(line)["tool"] for line in Path(started.value.path()).read_text().splitlines()] == ["git_log"]
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url("**/app/events")


def test_hostile_words_in_every_field_do_nothing(page: Page, recording: Recording) -> None:
    talk = recording.talk
    talk.server = talk.client = {"name": HOSTILE, "version": HOSTILE, "title": HOSTILE}
    asked = talk.request(HOSTILE, {HOSTILE: HOSTILE}, tool=HOSTILE)
    talk.answer(asked, error={"code": HOSTILE, "message": HOSTILE})
    talk.line(HOSTILE.encode())
    recording.send()
    page.goto(of(recording))
    page.locator("[data-drawer]").nth(1).click()
    page.get_by_role("region", name="Request").get_by_text("Tree", exact=True).click()
    page.get_by_role("link", name="Open as a page").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("alert(1)")
    page.goto("/app/")
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    assert page.locator("img").count() == 0


def test_a_five_megabyte_message_is_listed_opened_and_exported(page: Page, recording: Recording) -> None:
    talk = recording.talk
    answer = talk.notify("n/big", {"text": "all work and no play " * 250_000})
    answer["size"] = 5_250_100
    recording.send()
    page.goto(of(recording))
    page.get_by_role("link", name="n/big").click()
    side = page.get_by_role("region", name="Notification")
    expect(side).to_contain_text("The first 16.4 kB of 5.3 MB.")
    expect(side.get_by_role("button", name="Copy")).to_have_count(0)  # a copy of the beginning would pass for all of it
    page.keyboard.press("Escape")
    with page.expect_download() as started:
        page.get_by_role("link", name="JSONL").click()
    assert Path(started.value.path()).stat().st_size > 5_250_000


def test_it_is_read_without_javascript(
    talked: Recording, account: Account, context: Callable[..., BrowserContext], sign_in: Callable[..., Page]
) -> None:
    page = sign_in(context(scripts=False), account, by_form=True)
    page.goto("/app/events")
    page.get_by_text("Session, from, to").click()
    page.get_by_label("Session").fill(talked.talk.session_id)
    page.get_by_label("Type").select_option("request")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="tools/call").click()
    expect(page.get_by_role("region", name="Error response")).to_contain_text("no such path")
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    page.get_by_role("link", name="Open the session").click()
    page.wait_for_url(f"**{talked.address}")


def test_an_export_ends_when_its_reader_goes_away(page: Page, service: Service, recording: Recording) -> None:
    before = len(EXPORTED.findall(service.log()))
    for _ in range(900):
        recording.talk.notify("n/weight", {"text": "x" * 60_000})  # 54 MB: more than any buffer on the way
        if len(recording.talk.waiting) == 100:
            recording.send()
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    with requests.get(f"{service.url}/app/events/export.jsonl", cookies=cookies, stream=True, timeout=30) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_content(10_000)
        next(pieces)
        time.sleep(1)  # a server that does not wait for its reader would be through by now
    ended = eventually(
        lambda: EXPORTED.findall(service.log())[before:], within=20, what="the server says the export ended"
    )
    events, is_whole = ended[-1]
    assert is_whole == "False"
    assert int(events) < 900
