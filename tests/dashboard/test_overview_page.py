"""The overview: what its figures are, beside a plain count of the same events, and what a newcomer sees instead."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from customers import api_keys
from customers.models import Customer
from events import overview_queries
from events.models import DailyUsage, InboxEntry
from events.overview_queries import RANGES, Range
from tests.dashboard.traffic import Talk

SERVERS = ({"name": "git"}, {"name": "files"}, {"name": ""})
TOOLS = ("read", "write", "search")
QUERIES_AT_MOST = 24  # the gate's and the plan's are nine of them


def spread(customer: Customer, now: datetime, *, longest: timedelta, sessions: int) -> list[dict[str, Any]]:
    """Sessions over `longest`, some events failing; every event that was stored."""
    chance, sent = random.Random(6), []
    for number in range(sessions):
        began = now - longest * (number + 1) / sessions
        talk = Talk(f"s-{number}", started_at=began, server=chance.choice(SERVERS))
        for _ in range(chance.randint(1, 6)):
            asked = talk.request("tools/call", tool=chance.choice(TOOLS))
            fails = {"code": -1, "message": "no"} if chance.random() < 0.3 else None
            talk.answer(asked, error=fails, after_ms=chance.uniform(1, 400))
        sent += talk.waiting
        talk.store(customer)
    return sent


def held(events: Iterable[dict[str, Any]], since: datetime, until: datetime) -> list[dict[str, Any]]:
    return [event for event in events if since <= datetime.fromisoformat(event["timestamp"]) < until]


def counted(events: list[dict[str, Any]]) -> tuple[int, int, int, int]:
    """Events, requests, errors, servers."""
    return (
        len(events),
        sum(event["type"] == "request" for event in events),
        sum(event.get("is_error", False) for event in events),
        len({event["server_info"]["name"] for event in events}),
    )


def exactly(durations: list[float], share: float) -> float:
    ordered = sorted(durations)
    return ordered[int(share * (len(ordered) - 1))]


@pytest.mark.parametrize("asked", RANGES.values(), ids=RANGES)
def test_figures_points_and_the_time_before_are_what_a_plain_count_says(
    asked: Range, customer: Customer, now: datetime
) -> None:
    at = now.replace(minute=41, second=13)
    sent = spread(customer, at, longest=asked.length * 2.2, sessions=50)
    shown = overview_queries.overview(customer.pk, asked, at=at)
    grain = timedelta(minutes=1) if asked.name == "1h" else timedelta(hours=1)
    ends = at.replace(minute=at.minute if asked.name == "1h" else 0, second=0, microsecond=0) + grain
    assert shown.since <= at - asked.length + asked.step
    inside = held(sent, shown.since, shown.since + asked.length)
    before = held(sent, shown.since - asked.length, min(ends - asked.length, shown.since))
    assert inside
    assert before
    for figures, events in ((shown.figures, inside), (shown.before, before)):
        assert (figures.events, figures.requests, figures.errors, figures.servers) == counted(events)
        assert figures.bytes == sum(event["size"] for event in events)
        durations = [event["duration_ms"] for event in events if "duration_ms" in event]
        for share, found in ((0.5, figures.p50_ms), (0.95, figures.p95_ms), (0.99, figures.p99_ms)):
            assert found == pytest.approx(exactly(durations, share), rel=0.021)
    assert len(shown.points) == asked.steps
    for point in shown.points:
        assert (point.requests, point.errors) == counted(held(sent, point.at, point.at + asked.step))[1:3]


def test_tools_and_servers_are_ranked_by_what_their_lists_are_about(customer: Customer, talk: Talk) -> None:
    for tool, after_ms, fails in (("quick", 2, 3), ("slow", 900, 0), ("fair", 50, 1)):
        for number in range(4):
            asked = talk.request("tools/call", tool=tool)
            talk.answer(asked, error={"code": -1, "message": "no"} if number < fails else None, after_ms=after_ms)
    talk.answer(talk.request("resources/list"), after_ms=9_000)
    talk.store(customer)
    shown = overview_queries.overview(customer.pk, RANGES["24h"], at=talk.started_at + timedelta(seconds=20))
    assert [row.tool for row in shown.slowest] == ["slow", "fair", "quick"]
    assert [(row.tool, row.errors, row.requests) for row in shown.failing] == [("quick", 3, 4), ("fair", 1, 4)]
    assert [(row.server, row.events) for row in shown.busiest] == [("mcp-server-git", 26)]


def test_an_hour_of_more_than_is_counted_says_from_when_on_it_is(
    customer: Customer, talk: Talk, browser: Client, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    monkeypatch.setattr(overview_queries, "MAX_COUNTED", 4)
    talk.started_at = now - timedelta(minutes=30)
    for _ in range(5):
        talk.answer(talk.request("tools/list"), after_ms=120_000)
    talk.store(customer)
    shown = overview_queries.overview(customer.pk, RANGES["1h"], at=now)
    assert shown.figures.events == 4
    assert shown.before.events == 0
    oldest = now - timedelta(minutes=24)  # of the newest four: a request every two minutes
    assert shown.counted_since == oldest.replace(second=0, microsecond=0)
    assert "these figures begin at" in browser.get("/app/?range=1h").content.decode()


@pytest.mark.parametrize("name", RANGES)
def test_the_number_of_queries_does_not_grow_with_what_is_shown(
    name: str, browser: Client, customer: Customer, now: datetime
) -> None:
    spread(customer, now, longest=timedelta(hours=1), sessions=2)
    with CaptureQueriesContext(connection) as few:
        browser.get("/app/", {"range": name})
    spread(customer, now, longest=RANGES[name].length, sessions=30)
    with CaptureQueriesContext(connection) as many:
        assert browser.get("/app/", {"range": name}).status_code == 200
    assert len(many) == len(few) <= QUERIES_AT_MOST


def test_every_range_is_an_address_and_no_other_is(browser: Client, customer: Customer, talk: Talk) -> None:
    talk.request("tools/list")
    talk.store(customer)
    for name in RANGES:
        page = browser.get("/app/", {"range": name}).content.decode()
        assert f'href="?range={name}" aria-current="true"' in page
    refused = browser.get("/app/", {"range": "10y"})
    assert refused.status_code == 400
    assert "The ranges are 1h, 24h, 7d, 30d" in refused.content.decode()


def test_a_change_is_told_beside_what_was_before_and_coloured_where_it_is_good_or_bad(
    browser: Client, customer: Customer, now: datetime
) -> None:
    for days, number, after_ms, failing in ((1.3, 2, 100, 0), (0.3, 3, 300, 1)):
        talk = Talk(f"s-{days}", started_at=now - timedelta(days=days))
        for place in range(number):
            asked = talk.request("tools/call", tool="x")
            talk.answer(asked, error={"code": -1, "message": "no"} if place < failing else None, after_ms=after_ms)
        talk.store(customer)
    strip = browser.get("/app/").content.decode().partition('id="figures"')[2].partition("</section>")[0]
    text = " ".join(re.sub(r"<[^>]+>", " ", strip).split())
    assert "Requests 3 +50 % was 2" in text
    assert "Error rate 33 % +33.3 points was 0 %" in text
    assert strip.count('class="change bad"') == 4  # the rate and three percentiles
    assert "Active servers 1 was 1" in text


def test_the_quota_is_shown_with_its_meter_and_a_spent_one_with_what_happens_next(
    browser: Client, customer: Customer, talk: Talk, now: datetime
) -> None:
    talk.request("tools/list")
    talk.store(customer)
    usage = DailyUsage.objects.filter(customer_id=customer.pk, day=now.date())
    DailyUsage.objects.update_or_create(customer_id=customer.pk, day=now.date(), defaults={"accepted": 85_000})
    page = browser.get("/app/").content.decode()
    assert "85 k of 100 k · Pro" in page
    assert 'class="meter high"' in page
    usage.update(accepted=100_000)
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


def test_each_chart_has_a_table_of_the_same_numbers(browser: Client, customer: Customer, talk: Talk) -> None:
    talk.answer(talk.request("tools/list"), after_ms=12)
    talk.store(customer)
    page = browser.get("/app/").content.decode()
    tables = re.findall(r'<table class="plain">.*?</table>', page, re.DOTALL)
    assert [table.count("<tr>") for table in tables] == [25, 25]
    assert '<td class="number">1</td><td class="number">0</td></tr></tbody>' in tables[0]


def test_a_newcomer_is_told_how_to_begin_for_each_client(browser: Client, customer: Customer, now: datetime) -> None:
    key = api_keys.issue(customer, "laptop", at=now).key
    page = browser.get("/app/").content.decode()
    assert "Connect your first MCP server" in page
    assert "km-client init --api-url http://127.0.0.1:8318" in page
    assert "claude mcp add git -- km-client monitor -- " in page
    for name in ("Claude Desktop", "Cursor", "VS Code", "Codex"):
        assert f"<summary>{name}</summary>" in page
    assert key.prefix in page


def test_the_waiting_page_is_told_when_the_first_event_came_and_where_it_is(
    browser: Client, customer: Customer, talk: Talk
) -> None:
    assert browser.get("/app/first-event").status_code == 204
    talk.request("initialize")
    talk.store(customer)
    came = browser.get("/app/first-event").content.decode()
    assert "The first message came" in came
    assert 'href="/app/sessions/s-1"' in came
    assert "Overview</h1>" in browser.get("/app/").content.decode()
