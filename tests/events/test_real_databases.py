"""The same promises on every database the service runs on: SQLite in a file, and PostgreSQL where it is installed.

One path of code serves both; these are the tests a new store has to pass.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from core.clock import now
from customers import accounts
from customers.models import Customer
from events import queries, retention, session_queries, stores
from events.drain import Drained, drain
from events.histogram import Histogram
from events.models import DailyRollup, DailyUsage, Event, HourlyRollup, InboxEntry, Session
from events.store import EventFilter
from tests.events.conftest import sender_for
from tests.events.databases import KINDS, real_database
from tests.events.samples import Sender, a_call, an_event, answer_of, drain_everything


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """A real database of its own for the tests of this module; which kind."""
    with django_db_blocker.unblock(), real_database(request.param):
        yield request.param


@pytest.fixture
def acme(database: str) -> Customer:
    """A customer in an otherwise empty database: not conftest's, which is in the test database of pytest-django."""
    call_command("flush", verbosity=0, interactive=False)
    return accounts.create_customer("Acme", "enterprise", at=now())


@pytest.fixture
def sender(acme: Customer) -> Sender:
    """Its client."""
    return sender_for(acme)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run `work` in `count` threads that start together; raise what any of them raised."""
    together, failures = threading.Barrier(count), []

    def run(number: int) -> None:
        together.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised again below, in the test's own thread
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_an_insert_tells_what_is_new(acme: Customer, sender: Sender) -> None:
    answer_of(sender.post([an_event() for _ in range(3)]))
    drain_everything()
    ids = set(Event.objects.values_list("id", flat=True))
    assert stores.current().known(acme.pk, ids) == ids
    assert stores.current().known(acme.pk + 1, ids) == set()


def test_everything_comes_back_as_it_was_sent(acme: Customer, sender: Sender) -> None:
    sent = a_call("c1", message={"text": "naïve ☃ \\u0000"})
    answer_of(sender.post(sent))
    drain_everything()
    page = queries.session_exchanges(acme.pk, "s1", limit=10)
    assert [(row.first.type, row.duration_ms) for row in page.rows] == [("request", 12.5)]
    assert str(page.rows[0].first.id) == sent[0]["id"]
    assert queries.totals(acme.pk, since=page.rows[0].first.timestamp).events == 2
    assert queries.recent_events(acme.pk, limit=10, only=EventFilter(tool="git_log", type="response")).rows
    assert session_queries.sessions(acme.pk, limit=10).rows[0].session_id == "s1"


def test_draining_twice_changes_nothing(sender: Sender) -> None:
    events = a_call("c1")
    answer_of(sender.post(events))
    answer_of(sender.post(events))
    assert drain(now=now()) == Drained(rows=2, stored=2, duplicates=2)
    assert Session.objects.get().events == DailyUsage.objects.get().stored == 2


def test_requests_at_once_are_all_kept(sender: Sender) -> None:
    def send(number: int) -> None:
        for _ in range(10):
            answer_of(sender.post([an_event(session_id=f"s{number}")]))

    in_threads(8, send)
    assert InboxEntry.objects.count() == 80
    assert DailyUsage.objects.get().accepted == 80


def test_drains_at_once_store_and_count_everything_once(sender: Sender) -> None:
    events = [each for number in range(40) for each in a_call(f"c{number}", duration_ms=number + 1.0)]
    for start in range(0, 80, 2):
        answer_of(sender.post(events[max(0, start - 2) : start + 2]))
    totals: list[Drained] = []
    in_threads(3, lambda _: totals.append(drain_everything()))
    assert sum(total.stored for total in totals) == Event.objects.count() == Session.objects.get().events == 80
    assert sum(row.events for row in HourlyRollup.objects.all()) == 80
    assert sum((Histogram.decode(row.histogram) for row in DailyRollup.objects.all()), Histogram()).total == 40
    usage = DailyUsage.objects.get()
    assert (usage.accepted, usage.stored) == (80, 80)


def test_requests_and_drains_at_once_lose_nothing(sender: Sender) -> None:
    done = threading.Event()

    def work(number: int) -> None:
        if number < 3:
            for _ in range(15):
                answer_of(sender.post(a_call(f"c{number}")))
            done.set()
        else:
            while not done.is_set():
                drain_everything()

    in_threads(4, work)
    drain_everything()
    assert Event.objects.count() == DailyUsage.objects.get().stored == 90


def test_a_transaction_that_fails_leaves_nothing(sender: Sender) -> None:
    answer_of(sender.post([an_event()]))
    try:
        with transaction.atomic():
            drain(now=now())
            raise KeyError
    except KeyError:
        assert (Event.objects.count(), InboxEntry.objects.count()) == (0, 1)
    assert drain_everything().stored == 1


def test_what_is_too_old_goes(acme: Customer, sender: Sender) -> None:
    answer_of(sender.post([an_event(now() - timedelta(days=400)), an_event()]))
    drain_everything()
    assert retention.expire(now=now(), pause=lambda _: None).events == 1
    assert Event.objects.count() == 1
