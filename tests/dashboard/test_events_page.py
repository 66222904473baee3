"""The events: what narrows them, what a line says, what the drawer holds, and what a file of them contains."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from customers.models import Customer
from dashboard import download, event_export, event_list
from events import queries
from events.store import NOTHING
from tests.dashboard.traffic import GIT, Talk, event_id

TEN_YEARS = {"from": "2016-11-23T00:00", "to": "2036-11-23T00:00"}


@pytest.fixture
def sent(customer: Customer, now: datetime) -> list[dict[str, Any]]:
    """Two sessions of two servers, every kind of event in them."""
    found: list[dict[str, Any]] = []
    for name, hours in (("git", 30), ("files", 2)):
        talk = Talk(f"of-{name}", started_at=now - timedelta(hours=hours), server={"name": name})
        talk.answer(talk.request("initialize", {"protocolVersion": "2025-11-25"}), {})
        asked = talk.request("tools/call", {"name": "read", "arguments": {"path": "/etc"}}, tool="read")
        talk.answer(asked, error={"code": -32602, "message": "no such path"}, after_ms=250)
        talk.notify("notifications/progress")
        found += talk.waiting
        talk.store(customer)
    return found


def shown(browser: Client, **given: str) -> set[str]:
    page = browser.get("/app/events", given)
    assert page.status_code == 200, page.content
    return set(re.findall(r'id="open-([^"]+)"', page.content.decode()))


@pytest.mark.parametrize(
    ("given", "keeps"),
    [
        ({}, lambda _: True),
        ({"tool": "read"}, lambda event: event.get("tool") == "read"),
        ({"method": "initialize"}, lambda event: event["method"] == "initialize"),
        ({"type": "error"}, lambda event: event["type"] == "error"),
        ({"direction": "response"}, lambda event: event["direction"] == "response"),
        ({"server": "git"}, lambda event: event["server_info"]["name"] == "git"),
        ({"server": "git", "errors": "1"}, lambda e: e["server_info"]["name"] == "git" and e.get("is_error", False)),
        ({"session": "of-files"}, lambda event: event["session_id"] == "of-files"),
        ({"range": "24h"}, lambda event: event["session_id"] == "of-files"),
        ({"range": "1h", **TEN_YEARS}, lambda _: True),
        (TEN_YEARS, lambda _: True),
        ({"to": "1970-01-01T00:00"}, lambda _: False),
        ({"from": "9999-12-31T23:59"}, lambda _: False),
        ({"to": "9999-12-31T23:59", "from": "0001-01-01T00:00"}, lambda _: True),
        ({"tool": " read "}, lambda event: event.get("tool") == "read"),
        ({"tool": "rea"}, lambda _: False),
    ],
)
def test_the_address_narrows_list_and_file_to_the_same(
    given: dict[str, str], keeps: Any, browser: Client, sent: list[dict[str, Any]]
) -> None:
    wanted = {event["id"] for event in sent if keeps(event)}
    assert shown(browser, **given) == wanted
    assert {row["id"] for row in lines(browser, **given)} == wanted


@pytest.mark.parametrize(
    "given",
    [
        {"type": "telegram"},
        {"direction": "sideways"},
        {"range": "10y"},
        {"errors": "perhaps"},
        {"from": "yesterday"},
        {"to": "0001-01-01T00:00+14:00"},
        {"tool": "a\0b"},
        {"server": "x" * 201},
        {"before": "%%%"},
    ],
)
def test_what_is_no_filter_is_said_by_name(given: dict[str, str], browser: Client, sent: list[Any]) -> None:
    answer = browser.get("/app/events", given)
    assert answer.status_code == 400
    assert next(iter(given)).replace("before", "cursor") in answer.content.decode()


def test_the_form_shows_what_the_address_says(browser: Client, sent: list[Any]) -> None:
    given = {"tool": "<b>", "type": "error", "errors": "1", "from": "2026-01-02T03:04"}
    page = browser.get("/app/events", given).content.decode()
    assert 'name="tool" value="&lt;b&gt;"' in page
    assert "<option selected>error</option>" in page
    assert 'value="1" checked' in page
    assert 'value="2026-01-02T03:04"' in page
    assert '<details class="more" open>' in page
    assert (
        'href="/app/events/export.csv?type=error&amp;tool=%3Cb%3E&amp;errors=1&amp;from=2026-01-02T03%3A04&amp;"'
        in page
    )


def test_pages_follow_each_other_without_a_gap_or_a_repeat(
    browser: Client, sent: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_list, "EVENTS_PER_PAGE", 3)
    found: list[str] = []
    path = "/app/events?direction=request"
    while path:
        page = browser.get(path).content.decode()
        found += re.findall(r'id="open-([^"]+)"', page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        path = older.group(1).replace("&amp;", "&") if older else ""
    assert found == sorted((event["id"] for event in sent if event["direction"] == "request"), reverse=True)


def test_a_line_says_what_was_said_and_how_it_went(browser: Client, customer: Customer, talk: Talk) -> None:
    asked = talk.request("tools/call", {"name": "git_log", "arguments": {"path": "."}}, tool="git_log")
    talk.answer(asked, {"content": [{"type": "text", "text": "commit 1f2e3d"}]}, after_ms=1500)
    talk.store(customer)
    page = browser.get("/app/events").content.decode()
    rows = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in page.split("<tr class=")[1:]]
    assert re.search(r"server to client tools/call response Git git_log commit 1f2e3d 1.50 s \d+ B", rows[0])
    assert re.search(r'client to server tools/call Git git_log path=(&quot;|")\.(&quot;|") – \d+ B', rows[1])


def test_a_poll_is_answered_with_nothing_until_something_changes(
    browser: Client, customer: Customer, talk: Talk
) -> None:
    talk.request("tools/list")
    talk.store(customer)
    page = browser.get("/app/events", {"server": GIT["name"]}).content.decode()
    poll = re.search(r'hx-get="(/app/live/events[^"]+)"', page)
    assert poll
    address = poll.group(1).replace("&amp;", "&")
    assert browser.get(address).status_code == 204
    talk.notify("notifications/message")
    talk.store(customer)
    changed = browser.get(address).content.decode()
    assert changed.count("data-row") == 2
    assert "server=mcp-server-git" in changed


def test_an_older_page_is_not_polled(browser: Client, sent: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_list, "EVENTS_PER_PAGE", 3)
    older = re.search(r'href="([^"]+)" rel="next"', browser.get("/app/events").content.decode())
    assert older
    assert "data-poll" not in browser.get(older.group(1)).content.decode()


@pytest.mark.parametrize("part", ["", "/opened"])
def test_an_event_is_shown_with_its_pair_from_either_side(
    part: str, browser: Client, customer: Customer, talk: Talk
) -> None:
    asked = talk.request("tools/call", {"name": "x"}, tool="x")
    answered = talk.answer(asked, {"content": [{"type": "text", "text": "at last"}]})
    talk.store(customer)
    for one in (asked, answered):
        page = browser.get(f"/app/events/{one['id']}{part}").content.decode()
        assert ">Request<" in page
        assert ">Response<" in page
        assert "at last" in page
        assert '<details open><summary><span class="p">{</span>' in page or "<details open><summary>{" in page


def test_an_event_of_no_session_can_be_opened_and_its_message_read(
    browser: Client, customer: Customer, talk: Talk
) -> None:
    lone = talk.notify("notifications/message", {"data": "hello"})
    lone["session_id"] = ""
    talk.store(customer)
    (found,) = shown(browser)
    page = browser.get(f"/app/events/{found}").content.decode()
    assert "hello" in page
    download = re.search(r'href="([^"]+/download)"', page)
    assert download
    assert browser.get(download.group(1)).status_code == 200
    assert browser.get(download.group(1).replace("/download", "")).status_code == 200


def test_the_number_of_queries_does_not_grow_with_the_events(
    browser: Client, customer: Customer, now: datetime
) -> None:
    def fill(session: str, number: int) -> None:
        talk = Talk(session, started_at=now - timedelta(minutes=5))
        for _ in range(number):
            talk.answer(talk.request("tools/call", tool="x"))
        talk.store(customer)

    fill("few", 1)
    with CaptureQueriesContext(connection) as few:
        browser.get("/app/events?tool=x")
    fill("many", 60)
    with CaptureQueriesContext(connection) as many:
        browser.get("/app/events?tool=x")
    assert len(many) == len(few) <= 10


def test_a_list_without_events_names_the_next_step(browser: Client, customer: Customer, talk: Talk) -> None:
    assert "No event yet" in browser.get("/app/events").content.decode()
    talk.request("tools/list")
    talk.store(customer)
    assert "No event is like this" in browser.get("/app/events?tool=nothing").content.decode()


def export(browser: Client, form: str, **given: str) -> bytes:
    answer = browser.get(f"/app/events/export.{form}", given)
    assert answer.status_code == 200
    assert isinstance(answer, StreamingHttpResponse)
    assert re.fullmatch(
        rf'attachment; filename="events-\d{{8}}-\d{{6}}\.{form}"', answer.headers["Content-Disposition"]
    )
    return b"".join(answer)


def lines(browser: Client, **given: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in export(browser, "jsonl", **given).splitlines()]


def test_both_files_hold_every_message_byte_for_byte_however_long(
    browser: Client, customer: Customer, talk: Talk
) -> None:
    talk.notify("n/long", {"text": "lorem ipsum " * 400_000})  # 5 MB
    talk.line(b"\x89PNG\xff")
    talk.line(b'"quoted", and\rcut')
    talk.store(customer)
    stored = [queries.event(customer.pk, row.id) for row in queries.recent_events(customer.pk, limit=9).rows]
    messages = [row.message for row in stored if row]
    assert len(messages[-1]) > 4_800_000
    assert [row["message"] for row in lines(browser)] == messages
    csv.field_size_limit(10_000_000)
    table = list(csv.DictReader(io.StringIO(export(browser, "csv").decode(), newline="")))
    assert [row["message"] for row in table] == messages
    assert [row["message_encoding"] for row in table] == ["text", "base64", "text"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "＝", " =", "\n="])
def test_no_cell_of_a_table_is_a_formula(start: str, browser: Client, customer: Customer, talk: Talk) -> None:
    evil = f"{start}HYPERLINK(1)"
    talk.server = talk.client = {"name": evil, "version": evil, "title": evil}
    talk.request(evil, tool=evil)
    talk.line(evil.strip("\n").encode())
    talk.store(customer)
    rows = list(csv.reader(io.StringIO(export(browser, "csv").decode(), newline="")))
    cells = [cell for row in rows[1:] for cell in row if "HYPERLINK" in cell]
    assert cells
    assert not [cell for cell in cells if not cell.startswith(("'", "{"))]
    assert evil in {row["method"] for row in lines(browser)}


def test_a_file_is_read_as_it_is_sent_and_no_further(
    customer: Customer, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(400):
        talk.notify("n/x", {"text": "y" * 2_000})
    talk.store(customer)
    reads: list[int] = []
    read = queries.recent_events

    def noted(*args: Any, **more: Any) -> Any:
        reads.append(more["limit"])
        return read(*args, **more)

    monkeypatch.setattr(queries, "recent_events", noted)
    monkeypatch.setattr(download, "PAGE_EVENTS", 50)
    pieces: Iterator[bytes] = event_export.stream(customer.pk, NOTHING, "jsonl")
    first = next(pieces)
    assert download.CHUNK_BYTES <= len(first) < download.CHUNK_BYTES + 10_000
    assert reads == [50]
    pieces.close()  # type: ignore[attr-defined]  # as the server does when the client is gone
    assert reads == [50]
    assert len(b"".join(event_export.stream(customer.pk, NOTHING, "jsonl"))) > 800_000
    assert len(reads) == 1 + 8


def test_ids_in_the_file_are_those_of_the_events(browser: Client, customer: Customer, talk: Talk) -> None:
    talk.request("tools/list")
    moment = talk.started_at + talk.clock
    talk.store(customer)
    assert [UUID(row["id"]) for row in lines(browser)] == [event_id("s-1", 1, moment)]
