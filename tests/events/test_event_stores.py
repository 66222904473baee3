"""What every event store promises: the same answers, whatever keeps the events. A new backend joins `databases.KINDS`.

One scenario of random traffic (two customers, a week, several sessions, late answers, bodies delivered twice and in any
order) is drained into each store; every read is then compared with a model of a few lines of Python.
"""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command
from django.db import transaction

from core.clock import now
from core.paging import InvalidCursor
from customers import accounts, proofs
from customers.models import Tier
from events import queries, retention, stores
from events.drain import Drained
from events.event_ids import DAY, day_of
from events.models import DailyRollup, DailyUsage, Event, HourlyRollup, Session
from events.rows import PREVIEW_CHARACTERS, EventRow
from events.store import EventFilter, NewEvent
from events.stores import relational
from tests.events.conftest import sender_for
from tests.events.databases import KINDS, real_database
from tests.events.samples import an_event, answer_of, drain_everything
from tests.events.scenario import World, every, moment_of, traffic


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """A real database of its own for the tests of this module; which kind."""
    with django_db_blocker.unblock(), real_database(request.param):
        yield request.param


@pytest.fixture(scope="module")
def world(database: str) -> World:
    """The scenario, drained."""
    call_command("flush", verbosity=0, interactive=False)
    proofs.forget_all()
    chance = random.Random(8318)
    customers = [accounts.create_customer(name, "enterprise", at=now()) for name in ("Acme", "Globex")]
    sent, bodies = {}, []
    for customer in customers:
        events = traffic(chance)
        sent[customer.pk] = events
        mixed = chance.sample(events, len(events))  # reordered
        parts = [mixed[start : start + 23] for start in range(0, len(mixed), 23)]
        bodies += [(customer, part) for part in [*parts, *chance.sample(parts, 4)]]  # and some of them twice
        bodies.append((customer, chance.sample(events, 30)))  # and some events in yet another company
    chance.shuffle(bodies)
    total = Drained()
    for number, (customer, part) in enumerate(bodies):
        answer_of(sender_for(customer).post(part))
        if number % 7 == 6:
            total += drain_everything()
    return World(customers, sent, total + drain_everything())


def ids(rows: Sequence[EventRow]) -> list[str]:
    return [str(row.id) for row in rows]


def ids_of(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event["id"] for event in events]


def test_what_is_sent_is_stored_once(world: World) -> None:
    assert {(each.customer_id, str(each.id)) for each in Event.objects.all()} == {
        (customer, event["id"]) for customer, events in world.sent.items() for event in events
    }
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
        (EventFilter(since=since, until=until), lambda event: since <= moment_of(event) < until),
        (EventFilter(until=until, tool="git_show"), lambda e: moment_of(e) < until and e["tool"] == "git_show"),
    ):
        for customer in world.sent:
            rows = every(lambda cursor: queries.recent_events(customer, after=cursor, limit=9, only=only))  # noqa: B023
            assert ids(rows) == ids_of([event for event in world.events(customer) if is_meant(event)])[::-1], only


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
        for row in every(lambda cursor: queries.sessions(customer, before=cursor, limit=2)):  # noqa: B023
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
    customer = world.customers[0]
    message = json.dumps({"text": "naïve ☃ \0 \t\\n\\\\N " + "x" * PREVIEW_CHARACTERS}, ensure_ascii=False, indent=1)
    sent = an_event(message="HERE", correlation_id="tab\there\\", session_id="odd \\N")
    with transaction.atomic():
        answer_of(sender_for(customer).post(json.dumps(sent).replace('"HERE"', message).encode()))
        drain_everything()
        row = queries.event(customer.pk, UUID(sent["id"]))
        assert row is not None
        assert (row.correlation_id, row.session_id, row.is_whole) == ("tab\there\\", "odd \\N", True)
        assert row.message == message
        (listed,) = queries.session_events(customer.pk, "odd \\N", limit=5).rows
        assert (listed.message, listed.is_whole) == (message[:PREVIEW_CHARACTERS], False)
        assert queries.event(world.customers[1].pk, UUID(sent["id"])) is None
        transaction.set_rollback(True)


def test_an_insert_tells_what_is_new_and_only_that(world: World) -> None:
    customer = world.customers[0].pk
    old = [UUID(event["id"]) for event in world.sent[customer][:3]]
    with transaction.atomic():
        given = [a_new_event(customer, event_id) for event_id in (*old, *(uuid4() for _ in range(3)))]
        assert {event.id for event in stores.current().insert(given)} == {event.id for event in given[3:]}
        assert stores.current().insert(given) == []
        assert stores.current().insert([]) == []
        transaction.set_rollback(True)


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


def test_each_class_keeps_its_own_days_and_what_is_counted_is_what_is_left(world: World) -> None:
    with transaction.atomic():
        acme, globex = (customer.pk for customer in world.customers)
        world.customers[1].subscription.tier = Tier.objects.get(code="pro")
        world.customers[1].subscription.save()
        Tier.objects.filter(code="enterprise").update(retention_days=4)
        Tier.objects.filter(code="pro").update(retention_days=5)
        retention.expire(now=now(), pause=lambda _: None)
        for customer, days in ((acme, 4), (globex, 5)):
            kept = [event for event in world.events(customer) if moment_of(event) >= day_of(now()) - days * DAY]
            assert 0 < len(kept) < len(world.sent[customer])
            assert set(ids_of(kept)) == {str(each.id) for each in Event.objects.filter(customer_id=customer)}
            pages = every(lambda cursor, pk=customer: queries.recent_events(pk, after=cursor, limit=50))  # type: ignore[misc]
            assert ids(pages) == ids_of(kept)[::-1]
            for model in (HourlyRollup, DailyRollup):
                assert sum(row.events for row in model._default_manager.filter(customer_id=customer)) == len(kept)
        assert retention.expire(now=now() + 400 * DAY, pause=lambda _: None).sessions == 10
        assert not (Event.objects.exists() or Session.objects.exists() or DailyRollup.objects.exists())
        transaction.set_rollback(True)
