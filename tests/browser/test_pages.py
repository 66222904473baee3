"""Every page in both themes, wide and narrow, and without JavaScript: it fits, it is quiet, it can be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Complaints, Recording
from tests.browser.looks import STILL, THEMES, WIDTHS, as_loaded, everywhere, fits, shift, wear
from tests.end_to_end.service import Account, Service

pytestmark = pytest.mark.browser

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'${7*7}"


@pytest.fixture
def everything(recording: Recording) -> Recording:
    """A session with a row of each kind."""
    talk = recording.talk
    client = {"name": "claude-code", "version": "2.1.0"}
    talk.answer(talk.request("initialize", {"protocolVersion": "2025-11-25", "clientInfo": client}), {}, after_ms=31)
    asked = talk.request("tools/call", {"name": "git_log", "arguments": {"repo_path": "/home/ann/src"}}, tool="git_log")
    talk.answer(asked, {"content": [{"type": "text", "text": "commit 1f2e3d"}]}, after_ms=1250)
    talk.answer(talk.request("tools/call", tool="git_diff"), error={"code": -32602, "message": "no such path"})
    talk.answer(talk.request("sampling/createMessage", by="server"), {"role": "assistant"}, after_ms=2200)
    talk.notify("notifications/progress", {"progress": 50})
    talk.gap("disk_full", 12, 34_120)
    talk.line(b"npm WARN deprecated")
    talk.line(b"\x89PNG\xff")
    talk.request("tools/call", {"name": "slow"}, tool="slow")
    recording.send()
    return recording


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits_keeps_still_and_follows_the_theme(
    width: int,
    everything: Recording,
    account: Account,
    context: Callable[..., BrowserContext],
    sign_in: Callable[..., Page],
) -> None:
    page = sign_in(context(width=width), account)
    for path in ("/app/sessions", "/app/sessions?server=nothing-like-it", everything.address, "/app/settings/usage"):
        page.goto(path)
        assert as_loaded(page, path) == []
    for theme in THEMES:
        wear(page, theme)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(246, 247, 249)", "dark": "rgb(12, 14, 17)"}[theme]
        page.reload()  # as it is drawn at first, too
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
    page.goto(everything.address)
    open_every_row(page, 9)
    assert fits(page, width)


SETTINGS = (
    "security",
    "members",
    "keys",
    "machines",
    "redaction",
    "usage",
    "audit",
    "audit?verify=1",
    "audit?action=nothing-like-it",
)
PERSON = ("password/", "confirm/")
CONFIRMED = ("factors/app/add/", "factors/passkeys/add/", "factors/codes/new/")
WAY_IN = ("login", "login?ended=1", "sign-up", "account/password/reset/", "join/nobodys-link", "nowhere")


def test_every_page_of_the_settings_can_be_read_by_everybody(
    account: Account, context: Callable[..., BrowserContext], sign_in: Callable[..., Page]
) -> None:
    page = sign_in(context(), account, by_form=True)
    wrong = looked_at(page, [*(f"settings/{each}" for each in SETTINGS), *(f"account/{each}" for each in PERSON)])
    page.get_by_label("Password").fill(account.password)  # what changes how one signs in asks for it again
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_url("**/app/**")
    assert wrong + looked_at(page, [f"account/{each}" for each in CONFIRMED]) == []


def test_letting_a_machine_in_can_be_read_by_everybody(
    service: Service, account: Account, context: Callable[..., BrowserContext], sign_in: Callable[..., Page]
) -> None:
    page = sign_in(context(), account)
    asked = {"clientName": "km-client 1.0.0", "machineName": "ann-laptop", "os": "Linux 6.1"}
    begun = requests.post(f"{service.url}/api/auth/device-code/start", json=asked, timeout=10).json()
    wrong = looked_at(page, ["device", f"device?user_code={begun['userCode']}"])
    page.get_by_role("button", name="Let it in").click()
    expect(page.get_by_role("heading", name="is let in")).to_be_visible()
    assert wrong + everywhere(page, "device-done") == []


def test_the_way_in_can_be_read_by_everybody(context: Callable[..., BrowserContext], complaints: Complaints) -> None:
    assert looked_at(context().new_page(), WAY_IN) == []
    complaints.forgive("404 (")
    complaints.forgive("410 (")


def test_an_exchange_a_message_and_an_event_of_their_own_can_be_read_by_everybody(
    page: Page, everything: Recording
) -> None:
    page.goto(everything.address)
    row = page.locator("#exchanges [data-row]", has_text="git_log")
    exchange = str(row.locator("a", has_text="Open the whole exchange").get_attribute("href"))
    event = exchange.rpartition("/")[2]
    paths = [exchange, f"{everything.address}/messages/{event}", f"/app/events/{event}"]
    assert looked_at(page, [each.removeprefix("/app/") for each in paths]) == []


def looked_at(page: Page, paths: Sequence[str]) -> list[str]:
    """What is wrong with these pages under /app/, in both themes, narrow and wide."""
    wrong = []
    for path in paths:
        page.goto(f"/app/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.url.endswith(path), page.url
        wrong += [f"{path}: it moves"] if shift(page) >= STILL else []
        wrong += everywhere(page, re.sub(r"\W+", "-", path))
    return wrong


def open_every_row(page: Page, rows: int) -> None:
    """One after the other: what a row shows when it opens moves the rows below it."""
    expect(page.locator("#exchanges summary.line")).to_have_count(rows)
    for number, row in enumerate(page.locator("#exchanges summary.line").all(), 1):
        row.click()
        expect(page.locator("#exchanges .sides")).to_have_count(number)


def test_an_address_that_leads_nowhere_says_so_in_the_same_look(page: Page, complaints: Complaints) -> None:
    for nowhere in ("/app/nowhere", "/app/sessions/nobodys"):
        page.goto(nowhere)
        expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
        expect(page.get_by_role("link", name="All sessions")).to_be_visible()
    complaints.forgive("404 (Not Found)")


def test_hostile_words_in_every_field_do_nothing(page: Page, recording: Recording) -> None:
    talk = recording.talk
    talk.server = talk.client = {"name": HOSTILE, "version": HOSTILE, "title": HOSTILE}
    asked = talk.request(HOSTILE, {HOSTILE: HOSTILE}, tool=HOSTILE)
    talk.answer(asked, error={"code": HOSTILE, "message": HOSTILE})
    talk.notify(HOSTILE, HOSTILE)
    talk.gap(HOSTILE, 1, 1)
    talk.line(HOSTILE.encode())
    recording.send()
    page.goto("/app/sessions")
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    page.goto(recording.address)
    open_every_row(page, 4)
    page.goto(f"{recording.address}/exchanges/{asked['id']}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("alert(1)")
    assert page.locator("img").count() == 0


def test_a_reader_without_javascript_reads_everything(
    everything: Recording,
    account: Account,
    context: Callable[..., BrowserContext],
    sign_in: Callable[..., Page],
) -> None:
    page = sign_in(context(scripts=False), account, by_form=True)
    page.goto("/app/sessions")
    page.locator(f'a[href="{everything.address}"]').click()
    row = page.locator("#exchanges summary.line", has_text="git_log")
    row.click()
    page.locator("#exchanges details[open]").get_by_role("link", name="Open the whole exchange").click()
    expect(page.locator(".code.pretty").last).to_contain_text('"text": "commit 1f2e3d"')
    page.locator(".switch").last.get_by_text("Raw").click()
    expect(page.locator(".code.raw").last).to_contain_text('"text":"commit 1f2e3d"')
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    page.get_by_role("button", name="Theme: system. Change").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_five_megabyte_message_opens_by_its_beginning_and_loads_whole(page: Page, recording: Recording) -> None:
    talk = recording.talk
    asked = talk.request("resources/read", {"uri": "file:///big.txt"})
    answer = talk.answer(asked, {"contents": [{"uri": "file:///big.txt", "text": "all work and no play " * 250_000}]})
    answer["size"] = 5_250_100
    recording.send()
    page.goto(recording.address)
    page.locator("#exchanges summary.line").first.click()
    side = page.get_by_role("region", name="Response")
    expect(side).to_contain_text("The first 16.4 kB of 5.3 MB.")
    side.get_by_role("link", name="Load the whole").click()
    expect(side).not_to_contain_text("The first", timeout=60_000)  # laying out one line of 5 MB, on a busy machine
    assert len(side.locator(".code").inner_text()) > 5_000_000
    with page.expect_download() as started:
        side.get_by_role("link", name="Download").click()
    assert started.value.suggested_filename == "message-2.json"
