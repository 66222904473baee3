"""Sessions in a browser: the waterfall in both themes, wide and narrow, live, by keyboard and without scripts; the
list's filters; the files to play again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import Recording
from tests.browser.looks import WIDTHS, as_loaded
from tests.end_to_end.service import Account

pytestmark = pytest.mark.browser


@pytest.fixture
def worked(recording: Recording) -> Recording:
    """An hour: a call, a pause, what the server asks meanwhile, a failed call, and one still open."""
    talk = recording.talk
    talk.started_at -= timedelta(hours=1)
    talk.answer(talk.request("initialize", {"protocolVersion": "2025-11-25"}), {}, after_ms=31)
    talk.clock += timedelta(minutes=59)
    asked = talk.request("tools/call", {"name": "plan"}, tool="plan")
    talk.answer(talk.request("sampling/createMessage", by="server"), {"role": "assistant"}, after_ms=1200)
    talk.notify("notifications/progress", {"progress": 50})
    talk.answer(asked, {"content": []}, after_ms=1500)
    talk.answer(talk.request("tools/call", tool="rm"), error={"code": -1, "message": "no such file"}, after_ms=1)
    talk.request("tools/call", {"name": "slow"}, tool="slow")
    recording.send()
    return recording


def drawn(row: Locator) -> Locator:
    """The bar that shows how long."""
    return row.locator(".track rect").first


def box(of: Locator) -> dict[str, float]:
    found = of.bounding_box()
    assert found
    return {"x": found["x"], "width": found["width"]}


@pytest.mark.parametrize("width", WIDTHS)
def test_they_fit_keep_still_and_can_be_read_by_everyone(
    width: int,
    worked: Recording,
    account: Account,
    context: Callable[..., BrowserContext],
    sign_in: Callable[..., Page],
) -> None:
    page = sign_in(context(width=width), account)
    for path in (
        worked.address,
        "/app/sessions?errors=1&range=24h",
        "/app/sessions?from=2016-11-22T00:00&to=2036-01-01T00:00",
    ):
        page.goto(path)
        assert as_loaded(page, path) == []
    page.goto(worked.address)
    rows = page.locator("#exchanges [data-row]")
    expect(rows).to_have_count(6)
    expect(rows.nth(1)).to_contain_text("idle for 59 min")
    planned, failed = box(drawn(rows.nth(1))), box(drawn(rows.nth(4)))
    assert planned["width"] > 10 * failed["width"]
    assert box(rows.nth(4).locator(".track rect").last)["width"] >= 3
    expect(rows.nth(4).locator(".badge.bad")).to_have_text("error")
    expect(rows.nth(4).locator(".cross")).to_be_visible()
    for row in rows.all():
        track = box(row.locator(".track"))
        assert box(row)["x"] < track["x"] < track["x"] + track["width"] <= width


def test_an_answer_ends_its_bar_and_moves_the_others_over(page: Page, worked: Recording) -> None:
    page.goto(worked.address)
    rows = page.locator("#exchanges [data-row]")
    before = box(drawn(rows.nth(1)))["width"]
    expect(rows.nth(5).locator(".onward")).to_have_count(1)
    asked = {"id": rows.nth(5).get_attribute("id"), "direction": "request", "sequence": 9, "method": "tools/call"}
    asked["id"] = str(asked["id"]).removeprefix("row-")
    worked.talk.answer({**asked, "tool": "slow"}, {"content": []}, after_ms=9000)
    worked.send()
    expect(rows.nth(5).locator(".onward")).to_have_count(0)
    expect(rows.nth(5).locator("summary .took")).to_have_text("9.00 s")
    assert box(drawn(rows.nth(1)))["width"] < before / 2
    worked.talk.notify("n/next")
    worked.send()
    expect(rows).to_have_count(7)
    expect(page.locator(".axis")).to_have_count(1)


def test_batches_have_an_axis_each_and_follow_by_a_click(page: Page, recording: Recording) -> None:
    for number in range(130):
        recording.talk.answer(recording.talk.request("tools/call", {"n": number}, tool="count"), {}, after_ms=2)
    recording.send()
    page.goto(recording.address)
    expect(page.locator("#exchanges [data-row]")).to_have_count(100)
    page.get_by_role("link", name="Load more").click()
    expect(page.locator("#exchanges [data-row]")).to_have_count(130)
    expect(page.locator(".axis")).to_have_count(2)
    recording.talk.notify("n/next")
    recording.send()
    expect(page.locator("#exchanges .batch").nth(1).locator("[data-row]")).to_have_count(31)


def test_keys_lead_through_the_rows(page: Page, worked: Recording) -> None:
    page.goto(worked.address)
    rows = page.locator("#exchanges [data-row]")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(rows.nth(1).locator("summary.line")).to_be_focused()
    page.keyboard.press("Enter")
    expect(rows.nth(1).locator(".sides")).to_be_visible()


def test_without_scripts_it_is_all_there(
    worked: Recording, account: Account, context: Callable[..., BrowserContext], sign_in: Callable[..., Page]
) -> None:
    page = sign_in(context(scripts=False), account, by_form=True)
    page.goto("/app/sessions")
    page.get_by_label("Server").fill("git")
    page.get_by_label("Errors only").check()
    page.get_by_role("button", name="Show").click()
    page.locator(f'a[href="{worked.address}"]').click()
    expect(page.locator("#exchanges [data-row]")).to_have_count(6)
    expect(page.get_by_text("idle for 59 min")).to_be_visible()
    assert box(drawn(page.locator("#exchanges [data-row]").nth(1)))["width"] > 20


def test_the_files_to_play_again_hold_the_session(page: Page, worked: Recording, tmp_path: Path) -> None:
    page.goto(worked.address)
    for name, kind in (("Replay JSONL", "jsonl"), ("Replay text", "txt")):
        with page.expect_download() as started:
            page.get_by_role("link", name=name).click()
        assert started.value.suggested_filename == f"session-{worked.talk.session_id}.{kind}"
        started.value.save_as(tmp_path / kind)
    assert [json.loads(line)["sequence"] for line in (tmp_path / "jsonl").open()] == list(range(1, 11))
    lines = [line for line in (tmp_path / "txt").read_text().splitlines() if line and line[0] != "#"]
    assert len([line for line in lines if line.startswith("{")]) == 10
    assert "DELAY: 3540.001s" in lines
