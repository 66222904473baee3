"""Partitions of PostgreSQL: made ahead, found by the day, dropped as a whole; what was there before stays."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from core.clock import now
from customers import accounts, proofs
from customers.models import Customer
from events import queries, retention, stores
from events.event_ids import DAY, day_of
from events.models import Event, Session
from events.store import EventFilter, NewEvent
from events.stores import partitions
from events.tasks import expire_events
from tests.events.databases import POSTGRESQL, real_database
from tests.events.samples import uuid_of

pytestmark = pytest.mark.servers
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
DISTRIBUTED = re.compile(r"create_(distributed|reference)_table\('(\w+)'")


@pytest.fixture(scope="module")
def server(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """A PostgreSQL of this module's own."""
    with django_db_blocker.unblock(), real_database(POSTGRESQL):
        yield


@pytest.fixture
def acme(server: None) -> Customer:
    """A customer in a database that was migrated just now."""
    call_command("flush", verbosity=0, interactive=False)
    for part in partitions.listed():
        if part.until is not None:
            run(f"DROP TABLE {part.name}")
    call_command("migrate", verbosity=0)
    proofs.forget_all()
    return accounts.create_customer("Acme", "enterprise", at=now())


def run(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def stored(customer: Customer, *days_ago: float, session: str = "s1") -> list[NewEvent]:
    """Events of so many days ago, in the store and counted."""
    from events import rollups, sessions  # noqa: PLC0415 - only here

    new = [an_event_of(customer, days, session) for days in days_ago]
    with transaction.atomic():
        assert len(stores.current().insert(new)) == len(new)
        sessions.add(new)
        rollups.add(new)
    return new


def an_event_of(customer: Customer, days_ago: float, session: str = "s1") -> NewEvent:
    moment = now() - timedelta(days=days_ago)
    party = ("git", "1", "")
    about = ("request", "request", "m", "t", session, 1, None, False, 2)
    return NewEvent(customer.pk, uuid_of(moment), "", moment, *about, party, party, False, False, "{}")


def noon(days_ago: int) -> float:
    """How many days ago the noon of that day was."""
    return (now() - day_of(now()) + (days_ago - 0.5) * DAY) / DAY


def places() -> dict[str, int]:
    """How many events lie in each partition that has any."""
    return dict(run("SELECT tableoid::regclass::text, count(*) FROM events_event GROUP BY 1"))


def name_of(days_ago: int) -> str:
    return f"events_event_{day_of(now()) - days_ago * DAY:%Y%m%d}"


def test_days_are_made_ahead_and_an_event_lies_in_its_own(acme: Customer) -> None:
    made = {part.name for part in partitions.listed()}
    around = range(-partitions.DAYS_AHEAD, partitions.DAYS_BEHIND + 1)
    assert made == {"events_event_default", *(name_of(days) for days in around)}
    stored(acme, *map(noon, (1, 0, -1)))
    assert places() == {name_of(1): 1, name_of(0): 1, name_of(-1): 1}
    assert partitions.make(day_of(now()), day_of(now())) == 0


def test_messages_are_compressed_by_lz4(acme: Customer) -> None:
    (event,) = [an_event_of(acme, 0)._replace(message="x" * 9000)]
    stores.current().insert([event])
    assert run("SELECT pg_column_compression(message) FROM events_event") == [("lz4",)]


def test_what_came_before_its_day_was_made_moves_there(acme: Customer) -> None:
    stored(acme, 20, 21)
    assert places() == {"events_event_default": 2}
    assert partitions.make(day_of(now()) - 20 * DAY, day_of(now()) - 20 * DAY) == 1
    assert places() == {"events_event_default": 1, name_of(20): 1}


def test_the_hourly_task_makes_the_next_day(acme: Customer) -> None:
    run(f"DROP TABLE {name_of(-5)}")
    expire_events()
    assert name_of(-5) in {part.name for part in partitions.listed()}


def test_a_day_that_nobody_keeps_is_dropped_with_what_counts_it(acme: Customer) -> None:
    day = day_of(now())
    partitions.make(day - 371 * DAY, day - 368 * DAY)
    stored(acme, 370, 369, 368, 0)
    gone = retention.expire(now=now())
    assert gone.partitions == 4
    assert {part.name for part in partitions.listed()}.isdisjoint(map(name_of, range(360, 372)))
    assert queries.totals(acme.pk, since=day - 400 * DAY).events == Event.objects.count() == 1


def test_a_partition_in_use_goes_the_next_time(acme: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "LOCK_SECONDS", 0.1)
    day = day_of(now())
    partitions.make(day - 370 * DAY, day - 370 * DAY)
    is_read, may_end = threading.Event(), threading.Event()

    def read() -> None:
        with transaction.atomic():
            run(f"SELECT count(*) FROM {name_of(370)}")
            is_read.set()
            may_end.wait(30)
        connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    assert is_read.wait(30)
    assert partitions.drop_before(day - 365 * DAY) == 0
    may_end.set()
    reader.join()
    assert partitions.drop_before(day - 365 * DAY) == 1


def test_drains_go_on_while_partitions_are_made(acme: Customer) -> None:
    day, failures = day_of(now()), list[BaseException]()

    def insert() -> None:
        try:
            for _ in range(20):
                with transaction.atomic():
                    stores.current().insert([an_event_of(acme, days) for days in (0, 30, 31, 32)])
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)
        finally:
            connection.close()

    drains = [threading.Thread(target=insert) for _ in range(2)]
    for drain in drains:
        drain.start()
    partitions.make(day - 33 * DAY, day - 29 * DAY)
    for drain in drains:
        drain.join()
    assert not failures
    assert Event.objects.count() == 160
    assert "events_event_default" not in places()


def test_a_question_touches_the_days_it_needs(acme: Customer) -> None:
    partitions.make(day_of(now()) - 60 * DAY, day_of(now()))
    events = stored(acme, *(number / 20 for number in range(100))) + stored(acme, 50, 50, session="old")
    latest = partitions.DAYS_AHEAD + 4  # the days ahead, which hold nothing, the default and the last two or three
    assert touched(lambda: queries.recent_events(acme.pk, limit=20)) <= latest
    assert touched(lambda: queries.recent_events(acme.pk, limit=20, only=EventFilter(tool="u", until=now()))) <= 62
    assert touched(lambda: queries.session_events(acme.pk, "old", limit=20)) <= 2
    assert touched(lambda: queries.session_exchanges(acme.pk, "old", limit=20)) <= 2
    assert touched(lambda: queries.event(acme.pk, events[3].id)) == 1
    assert touched(lambda: stores.current().known(acme.pk, [event.id for event in events[:20]])) <= 2


def touched(question: Any) -> int:
    """The most partitions any of the question's statements plans to read."""
    with CaptureQueriesContext(connection) as captured:
        question()
    asked = [each["sql"] for each in captured if "events_event" in each["sql"]]
    assert asked
    plans = ["\n".join(row[0] for row in run("EXPLAIN " + sql.replace("%", "%%"))) for sql in asked]
    return max(len(set(re.findall(r"events_event_(?:\d{8}|default|before)\b", plan))) for plan in plans)


def test_every_unique_key_of_a_distributed_table_holds_the_customer(acme: Customer) -> None:
    kinds = {table: kind for kind, table in DISTRIBUTED.findall(OPERATIONS.read_text())}
    ours = {model._meta.db_table for model in apps.get_app_config("events").get_models()}
    # stay where the work is handed out, or are small
    waiting = {"events_inboxentry", "events_quarantinedentry", "events_drainedbatch", "events_heartbeat"}
    definitions = {table for table in ours if table.startswith("events_tool")}
    assert set(kinds) == ours - waiting - definitions
    for table in (table for table, kind in kinds.items() if kind == "distributed"):
        keys = run("SELECT indexdef FROM pg_indexes WHERE tablename = %s AND indexdef LIKE 'CREATE UNIQUE%%'", table)
        assert keys
        assert all("(customer_id" in key for (key,) in keys), table


def test_an_installation_keeps_its_events_and_goes_on(acme: Customer) -> None:
    kept = stored(acme, 40, 3, 0, session="kept")
    call_command("migrate", "events", "0001", verbosity=0)
    try:
        assert not partitions.listed()
        assert Event.objects.count() == 3
        ahead = an_event_of(acme, noon(-1))._replace(session_id="kept")
        columns = {name: value for name, value in ahead._asdict().items() if name != "over_http"}
        Event.objects.create(**{**columns, "server": None, "client": None})
    finally:
        call_command("migrate", verbosity=0)
    assert places()["events_event_before"] == 3
    assert sum(places().values()) == 4
    assert Event.objects.count() == 4
    assert stores.current().known(acme.pk, [event.id for event in kept]) == {event.id for event in kept}
    assert stores.current().insert(kept) == []  # one key over old and new
    assert [row.id for row in queries.session_events(acme.pk, "kept", limit=9).rows][:1] == [kept[0].id]
    stored(acme, 5, 0)
    assert places()["events_event_before"] == 5  # today began there
    expired = retention.expire(now=now() + 366 * DAY)
    assert expired.partitions >= 1
    assert "events_event_before" not in {part.name for part in partitions.listed()}
    assert Session.objects.count() <= 1


def test_going_back_and_forth_ends_in_the_same_schema(acme: Customer) -> None:
    def schema() -> list[tuple[Any, ...]]:
        return run("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'events_event' ORDER BY 1")

    before = schema()
    call_command("migrate", "events", "0001", verbosity=0)
    call_command("migrate", verbosity=0)
    assert schema() == before
    assert len(before) == 4
