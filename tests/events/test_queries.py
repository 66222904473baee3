"""Pages are complete and in order, answers are folded into their requests, and nobody sees another's events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.paging import InvalidCursor, Page
from customers.models import Customer
from events import queries, session_queries
from events.models import Event
from events.rows import PREVIEW_CHARACTERS, EventRow, Exchange
from events.store import EventFilter
from events.stores import relational
from tests.events.samples import Sender, a_call, an_event, answer_of, drain_everything

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=5)


def store(sender: Sender, events: list[Any]) -> None:
    answer_of(sender.post(events))
    drain_everything()


def every(page_after: Callable[[str | None], Page[Any]]) -> list[Any]:
    """The rows of all pages, one after the other."""
    rows: list[Any] = []
    cursor: str | None = None
    while True:
        page = page_after(cursor)
        rows += page.rows
        cursor = page.next
        if cursor is None:
            return rows


def sequences(rows: list[EventRow]) -> list[int]:
    return [row.sequence for row in rows]


def test_a_sessions_events_come_in_sequence_whatever_their_ids(acme: Customer, sender: Sender) -> None:
    order = [5, 2, 9, 1, 7]
    store(sender, [an_event(NOON, sequence=number) for number in order])
    rows = every(lambda cursor: queries.session_events(acme.pk, "s1", after=cursor, limit=2))
    assert sequences(rows) == sorted(order)


def test_equal_sequences_lose_nothing_between_pages(acme: Customer, sender: Sender) -> None:
    store(sender, [an_event(NOON, sequence=1) for _ in range(7)])
    rows = every(lambda cursor: queries.session_events(acme.pk, "s1", after=cursor, limit=2))
    assert len({row.id for row in rows}) == 7


def test_an_answer_is_folded_into_its_request_across_pages_and_drains(acme: Customer, sender: Sender) -> None:
    calls = [a_call(f"c{number}", moment=NOON, duration_ms=number + 1.0) for number in range(6)]
    requests, responses = [call[0] for call in calls], [call[1] for call in calls]
    for number, event in enumerate([*requests, an_event(NOON, type="notification"), *reversed(responses)]):
        event["sequence"] = number
    store(sender, requests)
    store(sender, [*responses, an_event(NOON, type="notification", sequence=6)])
    rows: list[Exchange] = every(lambda cursor: queries.session_exchanges(acme.pk, "s1", after=cursor, limit=2))
    assert [(row.first.sequence, row.duration_ms) for row in rows] == [
        *[(number, number + 1.0) for number in range(6)],
        (6, None),
    ]
    assert all(row.response is not None for row in rows[:6])


def test_what_has_no_partner_stands_alone(acme: Customer, sender: Sender) -> None:
    open_request = an_event(correlation_id="open")
    orphan = an_event(correlation_id="orphan", type="response", direction="response", is_error=True)
    store(sender, [open_request, orphan, an_event(type="notification")])
    rows = queries.session_exchanges(acme.pk, "s1", limit=10).rows
    assert [(row.first.type, row.answers, row.is_error) for row in rows] == [
        ("request", (), False),
        ("response", (), True),
        ("notification", (), False),
    ]


def test_each_direction_has_its_own_correlations(acme: Customer, sender: Sender) -> None:
    asked = an_event(correlation_id="1", sequence=1)
    asked_back = an_event(correlation_id="1", sequence=2, direction="response")
    answered = an_event(correlation_id="1", sequence=3, type="response", direction="request")
    store(sender, [asked, asked_back, answered])
    rows = queries.session_exchanges(acme.pk, "s1", limit=10).rows
    assert [(row.first.sequence, [answer.sequence for answer in row.answers]) for row in rows] == [(1, []), (2, [3])]


def test_a_correlation_used_twice_pairs_with_the_request_before(acme: Customer, sender: Sender) -> None:
    events = [*a_call("same"), *a_call("same")]
    store(sender, events)
    rows = queries.session_exchanges(acme.pk, "s1", limit=10).rows
    assert [len(row.answers) for row in rows] == [1, 1]


def test_two_answers_are_both_shown(acme: Customer, sender: Sender) -> None:
    request, response = a_call("c")
    store(sender, [request, response, a_call("c")[1]])
    (row,) = queries.session_exchanges(acme.pk, "s1", limit=10).rows
    assert len(row.answers) == 2


def test_sessions_come_newest_first_page_by_page(acme: Customer, sender: Sender) -> None:
    store(sender, [an_event(NOON + timedelta(minutes=number % 4), session_id=f"s{number}") for number in range(9)])
    rows = every(lambda cursor: session_queries.sessions(acme.pk, before=cursor, limit=2))
    assert [row.session_id for row in rows] == ["s7", "s3", "s6", "s2", "s5", "s1", "s8", "s4", "s0"]


def test_nobody_sees_anothers(acme: Customer, globex: Customer, sender: Sender) -> None:
    store(sender, a_call("c"))
    event_id = Event.objects.all()[0].id
    assert queries.session(acme.pk, "s1") is not None
    assert queries.event(acme.pk, event_id) is not None
    assert queries.session(globex.pk, "s1") is None
    assert queries.event(globex.pk, event_id) is None
    assert not session_queries.sessions(globex.pk, limit=9).rows
    assert not queries.session_events(globex.pk, "s1", limit=9).rows
    assert not queries.session_exchanges(globex.pk, "s1", limit=9).rows
    assert not queries.recent_events(globex.pk, limit=9).rows
    assert queries.totals(globex.pk, since=NOON).events == 0


def test_a_list_shows_a_preview_and_the_event_itself_everything(acme: Customer, sender: Sender) -> None:
    long = '"' + "x" * PREVIEW_CHARACTERS + '"'
    store(sender, [an_event(message=long[1:-1])])
    (row,) = queries.recent_events(acme.pk, limit=9).rows
    assert (len(row.message), row.is_whole, row.size) == (PREVIEW_CHARACTERS, False, len(long))
    whole = queries.event(acme.pk, row.id)
    assert whole is not None
    assert (whole.message, whole.is_whole) == (long, True)


@pytest.mark.parametrize(("more", "is_whole"), [(0, True), (1, False)])
def test_a_preview_is_whole_up_to_its_last_character(acme: Customer, sender: Sender, more: int, is_whole: bool) -> None:
    store(sender, [an_event(message="x" * (PREVIEW_CHARACTERS - 2 + more))])  # two quotes around it
    (row,) = queries.recent_events(acme.pk, limit=9).rows
    assert (len(row.message), row.is_whole) == (PREVIEW_CHARACTERS, is_whole)


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (EventFilter(), {0, 1, 2, 3}),
        (EventFilter(tool="a"), {0, 1}),
        (EventFilter(type="response"), {1}),
        (EventFilter(errors_only=True), {3}),
        (EventFilter(session_id="s2"), {3}),
        (EventFilter(method="m", direction="response"), set()),
        (EventFilter(since=NOON + timedelta(minutes=1), until=NOON + timedelta(minutes=3)), {1, 2}),
    ],
)
def test_recent_events_can_be_narrowed(acme: Customer, sender: Sender, only: EventFilter, expected: set[int]) -> None:
    kinds: list[dict[str, Any]] = [
        {"tool": "a"},
        {"tool": "a", "type": "response"},
        {"tool": "b"},
        {"tool": "b", "is_error": True, "session_id": "s2"},
    ]
    store(sender, [an_event(NOON + timedelta(minutes=n), sequence=n, **fields) for n, fields in enumerate(kinds)])
    rows = every(lambda cursor: queries.recent_events(acme.pk, after=cursor, limit=1, only=only))
    assert {row.sequence for row in rows} == expected
    assert sequences(rows) == sorted(expected, reverse=True)


def test_a_filter_that_finds_little_stops_and_can_go_on(
    acme: Customer, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relational, "MAX_SCANNED", 5)
    events = [an_event(NOON + timedelta(seconds=n), sequence=n, tool="rare" if n in (1, 9) else "x") for n in range(23)]
    store(sender, events)
    first = queries.recent_events(acme.pk, limit=5, only=EventFilter(tool="rare"))
    assert (first.rows, first.next is not None) == ([], True)
    rows = every(lambda cursor: queries.recent_events(acme.pk, after=cursor, limit=5, only=EventFilter(tool="rare")))
    assert sequences(rows) == [9, 1]


def test_totals_add_hours_to_days(acme: Customer, sender: Sender) -> None:
    hours = [0, 1, 11, 12, 30, 60]
    store(sender, [an_event(NOON + timedelta(hours=each), size=10, is_error=each == 30) for each in hours])
    totals = queries.totals(acme.pk, since=NOON + timedelta(minutes=90))
    assert (totals.events, totals.errors, totals.bytes) == (5, 1, 50)
    assert queries.totals(acme.pk, since=NOON.replace(hour=0)).events == 6
    assert queries.totals(acme.pk, since=NOON + timedelta(hours=61)).events == 0


@pytest.mark.parametrize("cursor", ["!", "WzFd", "e30", "x" * 600])
def test_a_made_up_cursor_is_refused(acme: Customer, cursor: str) -> None:
    for read in (
        lambda: session_queries.sessions(acme.pk, before=cursor, limit=1),
        lambda: queries.session_events(acme.pk, "s1", after=cursor, limit=1),
        lambda: queries.recent_events(acme.pk, after=cursor, limit=1),
    ):
        with pytest.raises(InvalidCursor):
            read()
