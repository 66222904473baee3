"""One session: its messages paired, in order, live, and told apart by what they are."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse

from customers.models import Customer
from dashboard import session_page, timeline
from dashboard.session_ids import SessionIdConverter
from events.rows import EventRow, Exchange
from tests.dashboard.traffic import Talk

PAGE = "/app/sessions/s-1"


def lines(page: str) -> list[str]:
    """The words of each row."""
    found = re.findall(r'<summary class="line.*?</summary>', page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", line).split()) for line in found]


def poll(page: str) -> str:
    """The address the page asks next."""
    found = re.search(r'id="tail" data-poll hx-get="([^"]+)"', page)
    assert found
    return found.group(1).replace("&amp;", "&")


def event_row(**known: object) -> EventRow:
    """A stored event that nobody stored."""
    unknown: dict[str, object] = dict.fromkeys(field.name for field in fields(EventRow))
    return EventRow(**unknown | {"message": "{}", "method": "", "size": 0, "is_error": False} | known)  # type: ignore[arg-type]


@pytest.fixture
def page(browser: Client, customer: Customer, talk: Talk) -> str:
    """A page of one row for each thing a session may hold."""
    asked = talk.request("tools/call", {"name": "git_log", "arguments": {"n": 3}}, tool="git_log")
    talk.answer(asked, {"content": []}, after_ms=12)
    talk.answer(talk.request("tools/call", tool="rm"), error={"code": -32602, "message": "no such file"})
    failed = {"isError": True, "content": [{"type": "text", "text": "fatal: not a repository"}]}
    talk.answer(talk.request("tools/call", tool="git_diff"), failed, is_error=True)
    talk.answer(talk.request("sampling/createMessage", by="server"), {"role": "assistant"}, after_ms=2200)
    talk.notify("notifications/progress", {"progress": 1})
    talk.gap("disk_full", 12, 34_120)
    talk.line(b"npm WARN deprecated")
    talk.line(b"\x89PNG\xff")
    lonely = talk.request("tools/list")
    talk.waiting.remove(lonely)
    talk.answer(lonely, {"tools": []})
    talk.request("tools/call", {"name": "slow"}, tool="slow")
    talk.store(customer)
    return browser.get(PAGE).content.decode()


def test_every_kind_of_row_says_what_it_is(page: str) -> None:
    assert [line.rsplit(" ", 2)[0] for line in lines(page)] == [
        "+0.000 client to server tools/call git_log n=3 12 ms",
        "+0.014 client to server tools/call rm -32602 no such file error 3.0 ms",
        "+0.019 client to server tools/call git_diff fatal: not a repository error 3.0 ms",
        "+0.024 server to client sampling/createMessage 2.20 s",
        "+2.226 server to client notifications/progress progress=1",
        "+2.227 Not recorded 12 pieces (34.1 kB) of the stream could not be recorded: disk full",
        "+2.228 server to client not JSON-RPC npm WARN deprecated error",
        "+2.229 server to client not JSON-RPC bytes that are not UTF-8 error",
        "+2.234 server to client response without a request 3.0 ms",
        "+2.235 client to server tools/call slow waiting for the response",
    ]


def test_the_head_says_who_what_and_how_much(page: str) -> None:
    head = page.partition('id="session-head"')[2].partition("</section>")[0]
    text = " ".join(re.sub(r"<[^>]+>", " ", head).split())
    assert "Git 1.2.0 Live 4 errors Replay JSONL Replay text Client Claude Code 2.1.0 Protocol not said" in text
    assert (
        "Messages 14 5 requests, 921 B Calls p50, p95 3.0 ms, 12 ms of 3 Tools git_log , rm , git_diff , slow" in text
    )


def test_a_request_nobody_answered_for_an_hour_is_not_waited_for(
    browser: Client, customer: Customer, now: datetime
) -> None:
    talk = Talk("s-1", started_at=now - timedelta(minutes=61))
    talk.request("tools/list")
    talk.store(customer)
    page = browser.get(PAGE).content.decode()
    assert "no response" in lines(page)[0]
    assert not re.search(r'name="waiting" value="[^"]', page)


def test_a_declined_probe_shows_its_answer_and_is_no_fault(talk: Talk) -> None:
    """`server/discover` asks whether a server is new enough; the recorder does not mark the refusal as an error."""
    probe = event_row(type="request", method="server/discover", timestamp=talk.started_at, duration_ms=1)
    refusal = '{"id":1,"error":{"code":-32601,"message":"Method not found"}}'
    answer = event_row(type="error", direction="response", message=refusal, duration_ms=2)
    row = timeline.row(Exchange(probe, (answer,)), started_at=talk.started_at, now=talk.started_at)
    assert (row.gist.fault, row.is_bad, row.state) == ("-32601 Method not found", False, "done")


def test_an_answer_without_a_measured_duration_is_timed_by_the_two_moments(talk: Talk) -> None:
    asked = event_row(type="request", timestamp=talk.started_at)
    answer = event_row(type="response", timestamp=talk.started_at + timedelta(milliseconds=250))
    row = timeline.row(Exchange(asked, (answer,)), started_at=talk.started_at, now=talk.started_at)
    assert row.duration_ms == 250


class TestLive:
    def test_nothing_comes_while_nothing_changes(self, page: str, browser: Client) -> None:
        assert browser.get(poll(page)).status_code == 204

    def test_new_rows_come_once(self, page: str, browser: Client, customer: Customer, talk: Talk) -> None:
        talk.notify("notifications/message", {"data": "hello"})
        talk.store(customer)
        news = browser.get(poll(page)).content.decode()
        assert ["hello" in line for line in lines(news)] == [True]
        assert browser.get(poll(news)).status_code == 204

    def test_an_answer_reaches_the_row_that_waits_for_it(self, browser: Client, customer: Customer, talk: Talk) -> None:
        asked = talk.request("tools/call", tool="slow")
        talk.request("tools/call", tool="slower")
        talk.store(customer)
        page = browser.get(PAGE).content.decode()
        waiting = re.findall(r'name="waiting" value="([^"]+)"', page)
        assert len(waiting) == 2
        talk.answer(asked, {"content": [{"type": "text", "text": "at last"}]}, after_ms=4000)
        talk.store(customer)
        news = browser.get(poll(page) + "".join(f"&waiting={one}" for one in waiting)).content.decode()
        assert [line.split(" ", 1)[1] for line in lines(news)] == ["client to server tools/call slow 4.00 s 154 B"]
        assert f'id="open-{asked["id"]}" hx-swap-oob="true"' in news
        assert f'id="in-{asked["id"]}" hx-swap-oob="true"' in news
        assert "at last" in news

    def test_what_is_no_id_is_not_waited_for(self, browser: Client, customer: Customer, talk: Talk) -> None:
        talk.request("tools/list")
        talk.store(customer)
        answer = browser.get(f"{PAGE}/live", {"waiting": ["x", "' OR 1=1", "0" * 36], "seen": "0"})
        assert answer.status_code == 200

    def test_a_burst_longer_than_a_page_comes_in_parts_at_once(
        self, browser: Client, customer: Customer, talk: Talk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        talk.notify("n/first")
        talk.store(customer)
        page = browser.get(PAGE).content.decode()
        monkeypatch.setattr(session_page, "EXCHANGES_PER_PAGE", 3)
        for number in range(7):
            talk.notify(f"n/{number}")
        talk.store(customer)
        found = []
        for _ in range(3):
            page = browser.get(poll(page)).content.decode()
            found += [line.split()[4] for line in lines(page)]
        assert found == [f"n/{number}" for number in range(7)]
        assert browser.get(poll(page)).status_code == 204


class TestLongSessions:
    @pytest.fixture(autouse=True)
    def long_session(self, customer: Customer, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(session_page, "EXCHANGES_PER_PAGE", 4)
        for number in range(10):
            talk.notify(f"n/{number}")
        talk.store(customer)

    def test_more_rows_follow_without_a_gap_or_a_repeat(self, browser: Client) -> None:
        page = browser.get(PAGE).content.decode()
        found = [line.split()[4] for line in lines(page)]
        while more := re.search(r'hx-get="([^"]+/more[^"]+)"', page):
            page = browser.get(more.group(1)).content.decode()
            found += [line.split()[4] for line in lines(page)]
        assert found == [f"n/{number}" for number in range(10)]
        assert browser.get(poll(page)).status_code == 204

    def test_one_click_leads_to_the_latest(self, browser: Client) -> None:
        page = browser.get(PAGE).content.decode()
        latest = re.search(r'href="([^"]+)">Jump to the latest', page)
        assert latest
        tail = browser.get(latest.group(1)).content.decode()
        assert [line.split()[4] for line in lines(tail)] == ["n/6", "n/7", "n/8", "n/9"]
        assert "Show from the beginning" in tail

    def test_without_javascript_the_button_is_a_link_to_the_rest(self, browser: Client) -> None:
        more = re.search(r'class="button" href="([^"]+after=[^"]+)"', browser.get(PAGE).content.decode())
        assert more
        assert "n/4" in lines(browser.get(more.group(1)).content.decode())[0]


def test_the_number_of_queries_does_not_grow_with_the_messages(browser: Client, customer: Customer, talk: Talk) -> None:
    talk.answer(talk.request("tools/list"), {"tools": []})
    talk.store(customer)
    with CaptureQueriesContext(connection) as few:
        browser.get(PAGE)
    for _ in range(60):
        talk.answer(talk.request("tools/call", tool="x"), {})
        talk.notify("n/x")
    talk.store(customer)
    with CaptureQueriesContext(connection) as many:
        browser.get(PAGE)
    assert len(many) <= len(few) + 1 <= 8  # one more finds the latest of a list that does not end on its page


def test_a_quiet_poll_costs_one_look_at_the_session(browser: Client, page: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        browser.get(poll(page))
    assert len(asked) <= 4  # who is signed in (2), whose member (1), the session (1)


@pytest.mark.parametrize(
    "session_id",
    ["019aa1f2-7c33-7abc", "a b", "team/../42", "..", ".", "~x", "%2e%2e", "日本", "a?b#c", "<b>\"'", "\n"],
)
def test_any_session_id_has_an_address_that_leads_to_it(
    session_id: str, browser: Client, customer: Customer, now: datetime
) -> None:
    talk = Talk(session_id, started_at=now)
    talk.request("tools/list")
    talk.store(customer)
    found = re.search(r'class="name" id="[^"]*" href="([^"]+)"', browser.get("/app/").content.decode())
    assert found
    assert re.fullmatch(r"/app/sessions/~?[\w:.-]+", found.group(1))
    assert browser.get(found.group(1)).status_code == 200


def test_an_empty_session_id_has_an_address_too() -> None:
    assert resolve(reverse("dashboard:session", args=[""])).kwargs == {"session_id": ""}


@pytest.mark.parametrize("address", ["~!", "~_w", "~A"])
def test_an_address_that_names_no_session_id_is_refused(address: str) -> None:
    with pytest.raises(ValueError):
        SessionIdConverter().to_python(address)
