"""Ten years asked by address, and 100,000 sessions: answered from an index, by cursor, or refused with a clear word."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from customers.models import Customer
from events.models import Session
from tests.dashboard.traffic import Talk

TEN_YEARS = "from=2016-01-01T00:00&to=2036-01-01T00:00"
MANY = 100_000
NEXT = re.compile(r'href="(/app/sessions\?[^"]*before=[^"]+)"')


@pytest.mark.parametrize("page", ["events", "sessions", "live/events", "live/sessions"])
def test_ten_years_find_what_is_kept_in_no_more_questions_than_a_day(
    page: str, browser: Client, customer: Customer, talk: Talk
) -> None:
    talk.answer(talk.request("tools/call", tool="git_log"))
    talk.store(customer)
    with CaptureQueriesContext(connection) as day:
        assert browser.get(f"/app/{page}?range=24h").status_code == 200
    with CaptureQueriesContext(connection) as decade:
        answer = browser.get(f"/app/{page}?{TEN_YEARS}")
    assert answer.status_code == 200
    assert "git_log" in answer.content.decode() or talk.session_id in answer.content.decode()
    assert len(decade) <= len(day)


@pytest.mark.parametrize("page", ["events", "sessions"])
def test_a_year_long_before_anything_was_recorded_is_an_empty_page(
    page: str, browser: Client, customer: Customer, talk: Talk
) -> None:
    talk.request("tools/list")
    talk.store(customer)
    answer = browser.get(f"/app/{page}?from=2016-01-01T00:00&to=2017-01-01T00:00")
    assert answer.status_code == 200
    assert talk.session_id not in answer.content.decode()


@pytest.mark.parametrize("page", ["", "tools", "events", "sessions"])
def test_a_range_nobody_offers_is_refused_by_its_name(
    page: str, browser: Client, customer: Customer, talk: Talk
) -> None:
    talk.request("tools/list")
    talk.store(customer)
    answer = browser.get(f"/app/{page}?range=10y")
    assert answer.status_code == 400
    assert "10y" in answer.content.decode()
    assert "30d" in answer.content.decode()


@pytest.mark.parametrize("page", ["", "tools"])
def test_figures_are_of_the_ranges_there_are_whatever_else_an_address_says(
    page: str, browser: Client, customer: Customer, talk: Talk
) -> None:
    talk.answer(talk.request("tools/call", tool="git_log"))
    talk.store(customer)
    with CaptureQueriesContext(connection) as usual:
        browser.get(f"/app/{page}")
    with CaptureQueriesContext(connection) as decade:
        assert browser.get(f"/app/{page}?{TEN_YEARS}").status_code == 200
    assert len(decade) == len(usual)


def test_100_000_sessions_are_paged_by_cursor_each_page_straight_from_the_index(
    browser: Client, customer: Customer, now: datetime
) -> None:
    Session.objects.bulk_create(
        [
            Session(
                customer_id=customer.pk,
                session_id=f"s-{number:06d}",
                started_at=now - timedelta(seconds=number),
                last_at=now - timedelta(seconds=number),
                **dict.fromkeys(("events", "requests", "errors", "bytes"), 1),
            )
            for number in range(MANY)
        ],
        batch_size=2_000,
    )
    address, seen = "/app/sessions", 0
    for _ in range(3):
        with CaptureQueriesContext(connection) as captured:
            page = browser.get(address).content.decode()
        (asked,) = [each["sql"] for each in captured if "events_session" in each["sql"] and "ORDER BY" in each["sql"]]
        assert "OFFSET" not in asked
        assert _plan(asked) == ["SEARCH events_session USING INDEX events_sessions_newest"]
        shown = set(re.findall(r"s-\d{6}", page))
        assert shown == {f"s-{number:06d}" for number in range(seen, seen + 50)}
        seen += 50
        address = NEXT.findall(page)[-1].replace("&amp;", "&")


def _plan(sql: str) -> list[str]:
    """How SQLite finds the rows, without the columns it looks by; a sort would be a line of its own."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        return [row[3].partition(" (")[0] for row in cursor.fetchall()]
