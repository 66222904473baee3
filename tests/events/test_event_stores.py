"""What every event store promises: the same answers, whatever keeps events. A new backend joins `clickhouses.STORES`.

One scenario of random traffic (two customers, a week, several sessions, late answers, bodies delivered twice and in any
order) is drained into each store; every read is then compared with a model of a few lines of Python.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import astuple, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from km_protocol.envelope import Party

from core.clock import now
from core.paging import InvalidCursor
from customers import accounts
from events import queries, rollups, session_queries, sessions, stores
from events.event_ids import DAY, day_of
from events.histogram import Histogram
from events.models import DailyUsage
from events.rows import PREVIEW_CHARACTERS
from events.store import EventFilter, NewEvent
from events.stores import relational
from tests.events.clickhouses import STORES, real_store
from tests.events.conftest import sender_for
from tests.events.samples import an_event, answer_of, drain_everything, uuid_of
from tests.events.scenario import World, drained_world, every, ids, ids_of, moment_of


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """A real store of its own for the tests of this module; which kind."""
    with django_db_blocker.unblock(), real_store(request.param):
        yield request.param


@pytest.fixture(scope="module")
def world(store: str) -> World:
    """The scenario, drained. Tests leave it as it is: what they add is another customer's."""
    return drained_world()


def test_what_is_sent_is_stored_once(world: World) -> None:
    for customer in world.sent:
        stored = every(lambda cursor: queries.recent_events(customer, after=cursor, limit=100))  # noqa: B023
        assert sorted(ids(stored)) == sorted(ids_of(world.sent[customer]))
    assert world.drained.stored == sum(map(len, world.sent.values()))
    assert world.drained.duplicates > 0
    for customer, events in world.sent.items():
        usage = DailyUsage.objects.get(customer_id=customer)
        assert (usage.stored, usage.accepted, usage.bytes) == (len(events), len(events), 100 * len(events))


def test_known_tells_what_is_stored(world: World) -> None:
    for customer in world.sent:
        stored = {UUID(event["id"]) for event in world.sent[customer]}
        assert stores.current().known(customer, [*stored, uuid4()]) == stored
        assert stores.current().known(customer + 1000, stored) == set()


def test_recent_events_are_all_of_them_newest_first(world: World) -> None:
    for customer in world.sent:
        for limit in (7, 100, 1000):
            rows = every(lambda cursor: queries.recent_events(customer, after=cursor, limit=limit))  # noqa: B023
            assert ids(rows) == ids_of(world.events(customer))[::-1]


@pytest.mark.parametrize("scanned", [20_000, 40], ids=["at once", "in steps"])
def test_a_filter_finds_what_it_names(world: World, monkeypatch: pytest.MonkeyPatch, scanned: int) -> None:
    monkeypatch.setattr(relational, "MAX_SCANNED", scanned)
    since, until = (day_of(now()) - timedelta(days=days) for days in (4, 1.5))
    for only, is_meant in (
        (EventFilter(tool="git_log"), lambda event: event["tool"] == "git_log"),
        (EventFilter(errors_only=True), lambda event: event["is_error"]),
        (EventFilter(session_id="s2", type="response"), lambda e: e["session_id"] == "s2" and e["type"] == "response"),
        (EventFilter(server="git", tool="git_log"), lambda event: event["tool"] == "git_log"),
        (EventFilter(server="gi"), lambda event: event["server_info"]["name"] == "gi"),
        (EventFilter(since=since, until=until), lambda event: since <= moment_of(event) < until),
        (EventFilter(until=until, tool="git_show"), lambda e: moment_of(e) < until and e["tool"] == "git_show"),
    ):
        for customer in world.sent:
            rows = every(lambda cursor: queries.recent_events(customer, after=cursor, limit=9, only=only))  # noqa: B023
            assert ids(rows) == ids_of([event for event in world.events(customer) if is_meant(event)])[::-1], only


@pytest.mark.parametrize("most", [100_000, 25])
def test_minutes_hold_what_was_said_in_them_of_the_newest_events(world: World, most: int) -> None:
    since, until = (day_of(now()) - timedelta(days=days) for days in (4, 1.5))
    for customer in world.sent:
        meant = [event for event in world.events(customer) if since <= moment_of(event) < until][-most:]
        wanted: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
        for event in meant:
            minute = moment_of(event).replace(second=0, microsecond=0)
            wanted[minute, event["server_info"]["name"], event["method"], event.get("tool") or ""].append(event)
        found: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        timed: dict[tuple[Any, ...], Histogram] = defaultdict(Histogram)
        for row in stores.current().minutes(customer, since=since, until=until, most=most):
            key = (row.at, row.server, row.method, row.tool)
            found[key] = [
                a + b for a, b in zip(found[key], (row.events, row.requests, row.errors, row.bytes), strict=True)
            ]
            timed[key].merge(row.histogram)
        assert found == {key: _sums(events) for key, events in wanted.items()}
        assert timed == {key: _durations(events) for key, events in wanted.items()}


def test_minutes_of_which_no_durations_are_asked_have_none_and_are_the_same_otherwise(world: World) -> None:
    since, until = (day_of(now()) - timedelta(days=days) for days in (4, 1.5))
    for customer in world.sent:
        asked = partial(stores.current().minutes, customer, since=since, until=until, most=100_000)
        assert any(row.histogram for row in asked())
        bare = sorted((replace(row, histogram=b"") for row in asked()), key=astuple)
        assert sorted(asked(timed=False), key=astuple) == bare


def _sums(events: Sequence[dict[str, Any]]) -> list[int]:
    asked = sum(event["type"] == "request" for event in events)
    return [len(events), asked, sum(event["is_error"] for event in events), 100 * len(events)]


def _durations(events: Sequence[dict[str, Any]]) -> Histogram:
    counted = Histogram()
    for event in events:
        if event.get("duration_ms") is not None:
            counted.add(event["duration_ms"])
    return counted


def test_a_session_is_in_sequence_and_its_tail_is_its_end(world: World) -> None:
    for customer in world.sent:
        events = world.events(customer, key=lambda event: (event["sequence"], UUID(event["id"])))
        of_session = [event for event in events if event["session_id"] == "s3"]
        rows = every(lambda cursor: queries.session_events(customer, "s3", after=cursor, limit=11))  # noqa: B023
        assert ids(rows) == ids_of(of_session)
        tail = queries.session_tail(customer, "s3", last=5)
        assert ids(queries.session_events(customer, "s3", after=tail, limit=11).rows) == ids_of(of_session[-5:])
        assert queries.session_tail(customer, "s3", last=1000) is None
        assert not queries.session_events(customer, "no such session", limit=1).rows


def test_an_answer_is_folded_into_its_request_however_late(world: World) -> None:
    for customer in world.sent:
        of_session = [event for event in world.events(customer) if event["session_id"] == "s1"]
        answers = {event["correlation_id"]: event["id"] for event in of_session if event["type"] == "response"}
        asked = [event for event in of_session if event["type"] == "request"]
        requests = {event["id"]: answers.get(event["correlation_id"]) for event in asked}
        rows = every(lambda cursor: queries.session_exchanges(customer, "s1", after=cursor, limit=6))  # noqa: B023
        found = {str(row.first.id): str(row.response.id) if row.response else None for row in rows}
        assert found == requests
        some = [UUID(event_id) for event_id in list(requests)[:9]]
        again = queries.exchanges(customer, "s1", some)
        assert {str(row.first.id): str(row.response.id) if row.response else None for row in again} == {
            str(event_id): requests[str(event_id)] for event_id in some
        }


def test_sessions_and_rollups_add_up(world: World) -> None:
    for customer, events in world.sent.items():
        by_session = defaultdict(list)
        for event in events:
            by_session[event["session_id"]].append(event)
        for row in every(lambda cursor: session_queries.sessions(customer, before=cursor, limit=2)):  # noqa: B023
            of_session = by_session.pop(row.session_id)
            moments = [moment_of(event) for event in of_session]
            assert (row.started_at, row.last_at, row.events) == (min(moments), max(moments), len(of_session))
            assert row.errors == sum(event["is_error"] for event in of_session)
        assert not by_session
        totals = queries.totals(customer, since=day_of(now()) - 30 * DAY)
        requests = sum(event["type"] == "request" for event in events)
        errors = sum(event["is_error"] for event in events)
        assert (totals.events, totals.requests, totals.errors) == (len(events), requests, errors)
        assert (totals.bytes, totals.sessions) == (100 * len(events), 5)


def test_the_hours_of_a_chart_hold_what_happened_in_them(world: World) -> None:
    since, until = day_of(now()) - 4 * DAY, day_of(now()) - 2 * DAY
    for customer, events in world.sent.items():
        expected: dict[datetime, int] = defaultdict(int)
        for event in events:
            if since <= moment_of(event) < until:
                expected[moment_of(event).replace(minute=0, second=0, microsecond=0)] += 1
        assert {row.at: row.events for row in queries.hours(customer, since=since, until=until)} == expected


def test_percentiles_are_within_two_percent(world: World) -> None:
    since = day_of(now()) - 5 * DAY + timedelta(hours=7)
    for customer, events in world.sent.items():
        durations = defaultdict(list)
        for event in events:
            if "duration_ms" in event and moment_of(event) >= since:
                durations[event["tool"]].append(event["duration_ms"])
        rows = queries.latencies(customer, since=since)
        assert {row.tool: row.timed for row in rows} == {tool: len(each) for tool, each in durations.items()}
        for row in rows:
            exact = sorted(durations[row.tool])
            for share, found in ((0.5, row.p50_ms), (0.95, row.p95_ms), (0.99, row.p99_ms)):
                value = exact[math.floor(share * (len(exact) - 1))]
                assert abs(found - value) <= 0.0201 * value


def test_an_event_comes_back_as_it_was_sent(world: World) -> None:
    customer = accounts.create_customer("Initech", "enterprise", at=now())
    message = json.dumps({"text": "naïve ☃ \0 \t\\n\\\\N " + "x" * PREVIEW_CHARACTERS}, ensure_ascii=False, indent=1)
    sent = an_event(message="HERE", correlation_id="tab\there\\", session_id="odd \\N")
    answer_of(sender_for(customer).post(json.dumps(sent).replace('"HERE"', message).encode()))
    drain_everything()
    row = queries.event(customer.pk, UUID(sent["id"]))
    assert row is not None
    assert (row.correlation_id, row.session_id, row.is_whole) == ("tab\there\\", "odd \\N", True)
    assert row.message == message
    assert (row.timestamp, row.duration_ms, row.is_error) == (moment_of(sent), None, False)
    assert (row.server, row.client) == (Party("git", "1.2.0"), Party("claude", "3"))
    (listed,) = queries.session_events(customer.pk, "odd \\N", limit=5).rows
    assert (listed.message, listed.is_whole) == (message[:PREVIEW_CHARACTERS], False)
    assert queries.event(world.customers[1].pk, UUID(sent["id"])) is None


def test_an_insert_tells_what_is_new_and_only_that(world: World) -> None:
    customer = 1_000_001
    given = [a_new_event(customer, uuid_of(now())) for _ in range(6)]
    with transaction.atomic():
        assert set(stores.current().insert(given[:3])) == set(given[:3])
    with transaction.atomic():
        assert set(stores.current().insert(given)) == set(given[3:])
        assert stores.current().insert(given) == []
        assert stores.current().insert([]) == []
    assert stores.current().known(customer, [event.id for event in given]) == {event.id for event in given}
    assert stores.current().known(customer + 1, [event.id for event in given]) == set()


def test_what_a_rollback_took_back_is_new_again_and_there_once(world: World) -> None:
    customer = 1_000_003
    given = [a_new_event(customer, uuid_of(now())) for _ in range(3)]
    for _ in range(2):
        with transaction.atomic():
            assert set(stores.current().insert(given)) == set(given)
            transaction.set_rollback(True)
    assert stores.current().known(customer, [event.id for event in given]) == set()
    with transaction.atomic():
        assert set(stores.current().insert(given)) == set(given)
        rollups.add(given)
        sessions.add(given)
    in_order = sorted(event.id for event in given)
    assert [row.id for row in queries.recent_events(customer, limit=9).rows] == in_order[::-1]
    assert [row.id for row in queries.session_events(customer, "s", limit=9).rows] == in_order
    assert queries.event(customer, in_order[0]) is not None


def a_new_event(customer_id: int, event_id: UUID) -> NewEvent:
    nobody = ("", "", "")
    about = (event_id, "", now(), "request", "request", "m", "t", "s", 1, None, False, 2)
    return NewEvent(customer_id, *about, nobody, nobody, False, False, "{}")


def test_a_made_up_cursor_is_refused(world: World) -> None:
    customer = world.customers[0].pk
    for read in (
        lambda: queries.session_events(customer, "s1", after="!", limit=1),
        lambda: queries.session_exchanges(customer, "s1", after="!", limit=1),
        lambda: queries.recent_events(customer, after="!", limit=1),
    ):
        with pytest.raises(InvalidCursor):
            read()
