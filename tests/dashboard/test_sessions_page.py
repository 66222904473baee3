"""The list of sessions: what it shows, how it pages, narrows and stays live, and what a newcomer sees instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from customers import api_keys
from customers.models import Customer
from dashboard import session_list
from events import session_queries
from events.models import Session
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
    assert rows(browser.get("/app/sessions").content.decode()) == ["newer", "older"]


def test_a_row_says_who_talked_when_how_long_and_how_it_went(browser: Client, customer: Customer, talk: Talk) -> None:
    talk.answer(talk.request("tools/call", tool="git_log"), error={"code": -32602, "message": "no"}, after_ms=1500)
    talk.store(customer)
    row = re.search(r"<tr class=.*?</tr>", browser.get("/app/sessions").content.decode(), re.DOTALL)
    assert row
    text = " ".join(re.sub(r"<[^>]+>", " ", row.group()).split())
    assert text == "Git 1.2.0 Live Claude Code 2.1.0 30 s ago 1.50 s 2 messages 1 error 136 B"


def test_a_session_is_live_for_a_minute_after_its_last_message(
    browser: Client, customer: Customer, now: datetime
) -> None:
    hold(customer, "going-on", now - timedelta(seconds=50))
    hold(customer, "over", now - timedelta(seconds=70))
    live = [row for row in browser.get("/app/sessions").content.decode().split("<tr") if ">Live<" in row]
    assert [rows(row) for row in live] == [["going-on"]]


def test_pages_follow_each_other_without_a_gap_or_a_repeat(
    browser: Client, customer: Customer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_list, "SESSIONS_PER_PAGE", 2)
    for number in range(5):
        hold(customer, f"s-{number}", now - timedelta(hours=number))
    found, path = [], "/app/sessions"
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
    assert rows(browser.get("/app/sessions", {"q": "GIT"}).content.decode()) == ["git"]
    assert rows(browser.get("/app/sessions", {"q": "filesys"}).content.decode()) == ["files"]
    nothing = browser.get("/app/sessions", {"q": "<b>%_"}).content.decode()
    assert rows(nothing) == []
    assert "&lt;b&gt;%_" in nothing


class TestFilters:
    """Each narrows, all of them together narrow further, and the address says which."""

    @pytest.fixture(autouse=True)
    def sessions(self, customer: Customer, now: datetime) -> None:
        for session_id, age, server, client, fails in (
            ("git-old", timedelta(days=9), "mcp-server-git", "claude-code", True),
            ("git-new", timedelta(hours=2), "mcp-server-git", "cursor", False),
            ("files", timedelta(minutes=5), "filesystem", "claude-code", True),
        ):
            talk = Talk(session_id, now - age, server={"name": server}, client={"name": client})
            talk.answer(talk.request("tools/list"), error={"code": -1, "message": "no"} if fails else None)
            talk.store(customer)

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({}, ["files", "git-new", "git-old"]),
            ({"server": "GIT"}, ["git-new", "git-old"]),
            ({"client": "claude"}, ["files", "git-old"]),
            ({"errors": "1"}, ["files", "git-old"]),
            ({"range": "24h"}, ["files", "git-new"]),
            ({"from": "2016-11-22T00:00", "to": "2036-11-22T00:00"}, ["files", "git-new", "git-old"]),
            ({"server": "git", "client": "claude", "errors": "1"}, ["git-old"]),
            ({"server": "git", "client": "claude", "range": "7d"}, []),
        ],
    )
    def test_each_finds_what_it_names(self, asked: dict[str, str], found: list[str], browser: Client) -> None:
        page = browser.get("/app/sessions", asked).content.decode()
        assert rows(page) == found
        assert (">Clear<" in page) == bool(asked)

    def test_the_half_open_time_is_of_the_beginning(self, browser: Client) -> None:
        began = Session.objects.get(session_id="git-new").started_at
        moments = {"from": began.isoformat(), "to": (began + timedelta(microseconds=1)).isoformat()}
        assert rows(browser.get("/app/sessions", moments).content.decode()) == ["git-new"]
        assert rows(browser.get("/app/sessions", moments | {"to": began.isoformat()}).content.decode()) == []

    @pytest.mark.parametrize(
        "bad", [{"range": "9y"}, {"errors": "yes"}, {"from": "soon"}, {"server": "x" * 201}, {"client": "a\0b"}]
    )
    def test_what_cannot_be_is_refused_by_name(self, bad: dict[str, str], browser: Client) -> None:
        answer = browser.get("/app/sessions", bad)
        assert answer.status_code == 400
        assert next(iter(bad)) in answer.content.decode()

    def test_pages_and_polls_keep_what_was_asked(self, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(session_list, "SESSIONS_PER_PAGE", 1)
        page = browser.get("/app/sessions", {"errors": "1", "client": "claude"}).content.decode()
        older = re.search(r'href="([^"]+)" rel="next"', page)
        assert older
        last = browser.get(older.group(1).replace("&amp;", "&")).content.decode()
        assert (rows(page), rows(last)) == (["files"], ["git-old"])
        assert 'rel="next"' not in last
        for each in (page, last):
            poll = re.search(r'hx-get="(/app/live/sessions[^"]+)"', each)
            assert poll
            assert browser.get(poll.group(1).replace("&amp;", "&")).status_code == 204

    def test_a_search_that_stops_goes_on_where_it_stopped(
        self, browser: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(session_queries, "MAX_SCANNED", 1)
        found, path = [], "/app/sessions?server=git&errors=1"
        for _ in range(4):
            page = browser.get(path).content.decode()
            found.append(rows(page))
            older = re.search(r'href="([^"]+)" rel="next"', page)
            path = older.group(1).replace("&amp;", "&") if older else path
        assert found == [[], [], ["git-old"], []]

    def test_another_customers_sessions_are_never_found(
        self, stranger: Customer, sign_in: Callable[..., Client]
    ) -> None:
        elsewhere = sign_in(stranger)
        for asked in ({}, {"server": "git"}, {"errors": "1"}):
            assert rows(elsewhere.get("/app/sessions", asked).content.decode()) == []

    def test_a_filter_costs_one_query_more(self, browser: Client) -> None:
        with CaptureQueriesContext(connection) as plain:
            browser.get("/app/sessions")
        with CaptureQueriesContext(connection) as narrowed:
            browser.get("/app/sessions", {"server": "git", "client": "c", "errors": "1", "range": "30d"})
        assert len(narrowed) == len(plain) + 1


def test_a_poll_is_answered_with_nothing_until_something_changes(
    browser: Client, customer: Customer, talk: Talk
) -> None:
    talk.request("tools/list")
    talk.store(customer)
    state = seen(browser.get("/app/sessions").content.decode())
    assert browser.get("/app/live/sessions", {"seen": state}).status_code == 204
    talk.notify("notifications/message")
    talk.store(customer)
    changed = browser.get("/app/live/sessions", {"seen": state})
    assert changed.status_code == 200
    assert seen(changed.content.decode()) != state


def test_a_poll_of_a_filtered_page_stays_filtered(browser: Client, customer: Customer, now: datetime) -> None:
    hold(customer, "git", now, server={"name": "git"})
    hold(customer, "time", now, server={"name": "time"})
    page = browser.get("/app/sessions", {"q": "git"}).content.decode()
    poll = re.search(r'hx-get="(/app/live/sessions[^"]+)"', page)
    assert poll
    assert browser.get(poll.group(1).replace("&amp;", "&")).status_code == 204


def test_the_number_of_queries_does_not_grow_with_the_sessions(
    browser: Client, customer: Customer, now: datetime
) -> None:
    hold(customer, "first", now)
    with CaptureQueriesContext(
        connection,
    ) as few:
        browser.get("/app/sessions")
    for number in range(30):
        hold(customer, f"s-{number}", now - timedelta(minutes=number))
    with CaptureQueriesContext(connection) as many:
        browser.get("/app/sessions")
    assert len(many) == len(few) <= 16


def test_a_newcomers_list_says_what_brings_a_session_and_shows_the_first_by_itself(
    browser: Client, customer: Customer, talk: Talk
) -> None:
    page = browser.get("/app/sessions").content.decode()
    assert "No session yet" in page
    assert 'href="/app/"' in page
    talk.request("initialize")
    talk.store(customer)
    assert rows(browser.get("/app/live/sessions", {"seen": seen(page)}).content.decode()) == ["s-1"]


def test_the_lists_old_address_leads_to_the_new_one(browser: Client) -> None:
    answer = browser.get("/app/", {"q": "git", "before": "x"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/app/sessions?q=git&before=x")


def test_a_filter_that_finds_nothing_for_a_newcomer_is_no_first_run(browser: Client) -> None:
    assert "No session of a server like" in browser.get("/app/sessions", {"q": "git"}).content.decode()


def test_the_accounts_old_address_leads_to_the_usage(browser: Client) -> None:
    assert "Events today" in browser.get("/app/account", follow=True).content.decode()


def test_the_keys_are_listed_by_what_may_be_shown(browser: Client, customer: Customer, now: datetime) -> None:
    issued = api_keys.issue(customer, "<i>laptop</i>", at=now)
    gone = api_keys.issue(customer, "old", at=now)
    api_keys.revoke(gone.key, at=now)
    replaced = api_keys.issue(customer, "fleet", at=now)
    api_keys.rotate(replaced.key, at=now)
    page = browser.get("/app/settings/keys").content.decode()
    assert issued.key.prefix in page
    assert issued.secret not in page
    assert "&lt;i&gt;laptop&lt;/i&gt;" in page
    assert page.count(">Revoked<") == page.count(">Being replaced<") == 1
    assert page.count(">Active<") == 2
