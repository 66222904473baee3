"""The list of sessions: what it shows, how it pages, narrows and stays live, and what a newcomer sees instead."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from customers import api_keys
from customers.models import Customer
from dashboard import session_list
from events.models import DailyUsage, InboxEntry
from tests.dashboard.traffic import GIT, Talk


def hold(customer: Customer, session_id: str, started_at: datetime, server: dict[str, str] = GIT) -> None:
    """One small session."""
    talk = Talk(session_id, started_at=started_at, server=server)
    talk.answer(talk.request("tools/list"), {"tools": []})
    talk.store(customer)


def rows(page: str) -> list[str]:
    return re.findall(r'id="open-([^"]+)"', page)


def seen(page: str) -> str:
    found = re.search(r"seen=([0-9a-z]+)", page)
    assert found
    return found.group(1)


def test_the_session_started_last_comes_first(browser: Client, customer: Customer, now: datetime) -> None:
    hold(customer, "older", now - timedelta(hours=2))
    hold(customer, "newer", now - timedelta(hours=1))
    assert rows(browser.get("/app/").content.decode()) == ["newer", "older"]


def test_a_row_says_who_talked_when_how_long_and_how_it_went(browser: Client, customer: Customer, talk: Talk) -> None:
    talk.answer(talk.request("tools/call", tool="git_log"), error={"code": -32602, "message": "no"}, after_ms=1500)
    talk.store(customer)
    row = re.search(r"<tr class=.*?</tr>", browser.get("/app/").content.decode(), re.DOTALL)
    assert row
    text = " ".join(re.sub(r"<[^>]+>", " ", row.group()).split())
    assert text == "Git 1.2.0 Live Claude Code 2.1.0 30 s ago 1.50 s 2 messages 1 error 136 B"


def test_a_session_is_live_for_a_minute_after_its_last_message(
    browser: Client, customer: Customer, now: datetime
) -> None:
    hold(customer, "going-on", now - timedelta(seconds=50))
    hold(customer, "over", now - timedelta(seconds=70))
    live = [row for row in browser.get("/app/").content.decode().split("<tr") if ">Live<" in row]
    assert [rows(row) for row in live] == [["going-on"]]


def test_pages_follow_each_other_without_a_gap_or_a_repeat(
    browser: Client, customer: Customer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_list, "SESSIONS_PER_PAGE", 2)
    for number in range(5):
        hold(customer, f"s-{number}", now - timedelta(hours=number))
    found, path = [], "/app/"
    while path:
        page = browser.get(path).content.decode()
        found += rows(page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        path = older.group(1) if older else ""
    assert found == ["s-0", "s-1", "s-2", "s-3", "s-4"]


def test_the_filter_finds_servers_by_name_and_title_in_any_case(
    browser: Client, customer: Customer, now: datetime
) -> None:
    hold(customer, "git", now, server={"name": "mcp-server-git"})
    hold(customer, "files", now, server={"name": "fs", "title": "Secure Filesystem"})
    assert rows(browser.get("/app/", {"q": "GIT"}).content.decode()) == ["git"]
    assert rows(browser.get("/app/", {"q": "filesys"}).content.decode()) == ["files"]
    nothing = browser.get("/app/", {"q": "<b>%_"}).content.decode()
    assert rows(nothing) == []
    assert "&lt;b&gt;%_" in nothing


def test_a_poll_is_answered_with_nothing_until_something_changes(
    browser: Client, customer: Customer, talk: Talk
) -> None:
    talk.request("tools/list")
    talk.store(customer)
    state = seen(browser.get("/app/").content.decode())
    assert browser.get("/app/live", {"seen": state}).status_code == 204
    talk.notify("notifications/message")
    talk.store(customer)
    changed = browser.get("/app/live", {"seen": state})
    assert changed.status_code == 200
    assert seen(changed.content.decode()) != state
    assert 'id="figures"' in changed.content.decode()


def test_a_poll_of_a_filtered_page_stays_filtered(browser: Client, customer: Customer, now: datetime) -> None:
    hold(customer, "git", now, server={"name": "git"})
    hold(customer, "time", now, server={"name": "time"})
    page = browser.get("/app/", {"q": "git"}).content.decode()
    poll = re.search(r'hx-get="(/app/live[^"]+)"', page)
    assert poll
    assert browser.get(poll.group(1).replace("&amp;", "&")).status_code == 204


def test_the_number_of_queries_does_not_grow_with_the_sessions(
    browser: Client, customer: Customer, now: datetime
) -> None:
    hold(customer, "first", now)
    with CaptureQueriesContext(
        connection,
    ) as few:
        browser.get("/app/")
    for number in range(30):
        hold(customer, f"s-{number}", now - timedelta(minutes=number))
    with CaptureQueriesContext(connection) as many:
        browser.get("/app/")
    assert len(many) == len(few) <= 16


def test_the_strip_sums_up_the_day(browser: Client, customer: Customer, talk: Talk, now: datetime) -> None:
    talk.answer(talk.request("tools/call", tool="x"), error={"code": -1, "message": "no"})
    talk.answer(talk.request("tools/list"), {"tools": []})
    talk.store(customer)
    DailyUsage.objects.update_or_create(customer_id=customer.pk, day=now.date(), defaults={"accepted": 85_000})
    strip = browser.get("/app/").content.decode().partition('id="figures"')[2].partition("</section>")[0]
    text = " ".join(re.sub(r"<[^>]+>", " ", strip).split())
    assert "Messages 4 last 24 h" in text
    assert "Errors 1 50 % of 2 requests" in text
    assert "Sessions 1" in text
    assert "Quota used today 85 % 85 k of 100 k · Pro" in text
    assert 'class="meter high"' in strip


def test_a_spent_quota_is_said_with_what_happens_next(
    browser: Client, customer: Customer, talk: Talk, now: datetime
) -> None:
    talk.request("tools/list")
    talk.store(customer)
    DailyUsage.objects.update_or_create(customer_id=customer.pk, day=now.date(), defaults={"accepted": 100_000})
    assert "clients keep new events" in browser.get("/app/").content.decode()


def test_events_that_wait_too_long_to_be_stored_are_said(
    browser: Client, customer: Customer, talk: Talk, now: datetime
) -> None:
    talk.request("tools/list")
    talk.store(customer)
    late = now - timedelta(minutes=5)
    InboxEntry.objects.create(
        customer_id=customer.pk, received_at=late, kind="events", events=7, retry_at=late, body=b"{}"
    )
    assert "7 received messages wait to be stored" in browser.get("/app/").content.decode()


def test_a_newcomer_is_told_how_to_begin(browser: Client, customer: Customer, now: datetime) -> None:
    key = api_keys.issue(customer, "laptop", at=now).key
    page = browser.get("/app/").content.decode()
    assert "Connect your first MCP server" in page
    assert "km-client init --api-url http://127.0.0.1:8318" in page
    assert "km-client monitor -- " in page
    assert key.prefix in page


def test_the_first_session_turns_the_waiting_page_into_the_list(
    browser: Client, customer: Customer, talk: Talk
) -> None:
    state = seen(browser.get("/app/").content.decode())
    assert browser.get("/app/live", {"seen": state}).status_code == 204
    talk.request("initialize")
    talk.store(customer)
    assert browser.get("/app/live", {"seen": state}).headers["HX-Refresh"] == "true"


def test_a_filter_that_finds_nothing_for_a_newcomer_is_no_first_run(browser: Client) -> None:
    assert "No session of a server like" in browser.get("/app/", {"q": "git"}).content.decode()


def test_the_account_page_lists_keys_by_what_may_be_shown(browser: Client, customer: Customer, now: datetime) -> None:
    issued = api_keys.issue(customer, "<i>laptop</i>", at=now)
    gone = api_keys.issue(customer, "old", at=now)
    api_keys.revoke(gone.key, at=now)
    replaced = api_keys.issue(customer, "fleet", at=now)
    api_keys.rotate(replaced.key, at=now)
    page = browser.get("/app/account").content.decode()
    assert issued.key.prefix in page
    assert issued.secret not in page
    assert "&lt;i&gt;laptop&lt;/i&gt;" in page
    assert page.count(">Revoked<") == page.count(">Being replaced<") == 1
    assert page.count(">Active<") == 2
    assert "90 days" in page
