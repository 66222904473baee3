"""Two at once on each real database: one incident, each message once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from alerts import destinations, incidents
from alerts.evaluation import Reading
from alerts.evaluator import Evaluated, evaluate
from alerts.models import Attempt, Delivery, Incident
from alerts.preview import preview
from alerts.rules import copied, watch_of
from alerts.sending import Sent, send_due
from customers import accounts
from customers.models import Customer
from tests.alerts.conftest import Clock, a_rule, calls
from tests.alerts.receivers import Receiver
from tests.events.databases import KINDS, real_database

AT_ONCE = 4


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """A real database of its own for the tests of this module; which kind."""
    with django_db_blocker.unblock(), real_database(request.param):
        yield request.param


@pytest.fixture
def acme(database: str, clock: Clock) -> Customer:
    call_command("flush", verbosity=0, interactive=False)
    return accounts.create_customer("Acme", "enterprise", at=clock())


def in_threads(work: Callable[[], Any]) -> list[Any]:
    """What `AT_ONCE` threads that start together returned."""
    together, found, failures = threading.Barrier(AT_ONCE), [], []

    def run() -> None:
        together.wait()
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the test's own thread
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return found


def test_evaluators_at_once_share_the_rules_and_open_each_incident_once(acme: Customer, clock: Clock) -> None:
    calls(acme, clock(), count=40, fail=20)
    made = [a_rule(acme, clock(), kind=kind, threshold=1.0) for kind in ("errors", "latency", "errors", "latency")]
    rounds = in_threads(lambda: evaluate(clock=clock))
    assert sum(rounds, Evaluated()) == Evaluated(rules=4, opened=4)
    assert Incident.objects.count() == len(made)


def test_the_same_reading_written_at_once_is_one_incident_and_one_message(acme: Customer, clock: Clock) -> None:
    to, _ = destinations.add_webhook(acme, "Pager", "https://hooks.example.org/", at=clock(), actor="user:ann")
    rule = a_rule(acme, clock(), to)
    opened = in_threads(lambda: incidents.open_one(rule, Reading(50.0, 40), at=clock()))
    assert len([each for each in opened if each]) == 1
    (incident,) = Incident.objects.all()
    ended = in_threads(lambda: incidents.resolve(Incident.objects.get(pk=incident.pk), at=clock()))
    assert ended.count(True) == 1
    assert sorted(Delivery.objects.values_list("about", flat=True)) == ["incident.opened", "incident.resolved"]
    with pytest.raises(IntegrityError), transaction.atomic():
        for _ in range(2):  # and the database itself would not have two
            Incident.objects.create(customer=acme, rule=rule, opened_at=clock(), value=1, worst=1, **copied(rule))


def test_senders_at_once_send_each_message_once(acme: Customer, clock: Clock, receiver: Receiver) -> None:
    to, _ = destinations.add_webhook(acme, "Pager", receiver.url, at=clock(), actor="user:ann")
    for _ in range(12):
        destinations.test(to, at=clock(), actor="user:ann")
    rounds = in_threads(lambda: send_due(clock=clock))
    assert sum(rounds, Sent()) == Sent(delivered=12)
    assert len(receiver.ids) == len(set(receiver.ids)) == 12
    assert Attempt.objects.count() == 12


def test_a_preview_and_a_round_read_every_kind(acme: Customer, clock: Clock) -> None:
    calls(acme, clock(), count=40, fail=20)
    for kind in ("errors", "latency", "definition", "quota", "silence"):
        for window in (15, 360) if kind in ("errors", "latency") else (60,):
            rule = a_rule(acme, clock(), kind=kind, window_minutes=window)
            assert preview(acme, watch_of(rule), at=clock()).since < clock()
    assert evaluate(clock=clock).rules == 7
