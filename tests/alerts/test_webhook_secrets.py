"""A copy of the database signs nothing: secrets of webhooks are sealed there, and sign all the same."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import connection
from pytest_django.fixtures import Settings

from alerts import destinations, tasks, webhook_secrets
from alerts.models import Attempt, Destination
from alerts.sending import Sent, send_due
from alerts.webhook_secrets import Resealed, reseal, signing_secrets
from core import sealing
from customers.models import Customer
from tests.alerts.conftest import Clock
from tests.alerts.receivers import Receiver
from tests.alerts.test_sending import ANN, hook, verified

OLD, NEW = "an old key " * 4, "a newer key " * 4


@pytest.fixture(autouse=True)
def a_key(settings: Settings) -> None:
    settings.SEALING_KEYS = [OLD]


def everything_stored() -> str:
    """All text of the room's tables and of the audit log, as a backup would have it."""
    with connection.cursor() as cursor:
        tables = [
            name for name in connection.introspection.table_names(cursor) if name.startswith(("alerts", "customers"))
        ]
        rows = []
        for name in tables:
            cursor.execute(f'SELECT * FROM "{name}"')
            rows += cursor.fetchall()
    return str(rows)


def in_the_clear(destination: Destination, secret: str) -> None:
    """As a version before this one left it."""
    Destination.objects.filter(pk=destination.pk).update(secret=secret)


def test_no_secret_is_in_the_database_whatever_was_done_with_it(
    acme: Customer, clock: Clock, receiver: Receiver
) -> None:
    destination, first = hook(acme, clock, receiver.url)
    second = destinations.rotate(destination, at=clock(), actor=ANN)
    destinations.test(destination, at=clock(), actor=ANN)
    assert send_due(clock=clock) == Sent(delivered=1)
    stored = everything_stored()
    for secret in (first, second):
        assert verified(receiver.received[0].body, receiver.received[0].headers, secret)
        assert secret not in stored
        assert secret.removeprefix(webhook_secrets.PREFIX) not in stored
    row = Destination.objects.get()
    assert row.secret.startswith(sealing.PREFIX) and row.previous_secret.startswith(sealing.PREFIX)
    assert first not in json.dumps(json.loads(serializers.serialize("json", [row])))


def test_a_secret_copied_to_another_webhook_signs_nothing(acme: Customer, clock: Clock, receiver: Receiver) -> None:
    theirs, _ = hook(acme, clock, receiver.url)
    mine, _ = hook(acme, clock, receiver.url)
    Destination.objects.filter(pk=mine.pk).update(secret=Destination.objects.get(pk=theirs.pk).secret)
    destinations.test(mine, at=clock(), actor=ANN)
    assert send_due(clock=clock) == Sent(put_off=1)
    assert receiver.received == []


def test_what_was_stored_in_the_clear_signs_until_the_night_and_sealed_after_it(
    acme: Customer, clock: Clock, receiver: Receiver
) -> None:
    destination, secret = hook(acme, clock, receiver.url)
    in_the_clear(destination, secret)
    for _ in range(2):
        destinations.test(destination, at=clock(), actor=ANN)
        assert send_due(clock=clock) == Sent(delivered=1)
        assert verified(receiver.received[-1].body, receiver.received[-1].headers, secret)
        tasks.forget()
        clock.forward(minutes=1)
    assert secret not in everything_stored()
    assert reseal() == Resealed(0, 0)


def test_a_key_is_replaced_without_losing_a_message(
    acme: Customer, clock: Clock, receiver: Receiver, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    destination, _ = hook(acme, clock, receiver.url)
    secret = destinations.rotate(destination, at=clock(), actor=ANN)
    settings.SEALING_KEYS = [NEW, OLD]
    call_command("reseal_secrets", "--json")
    assert json.loads(capsys.readouterr().out) == {"sealed": "2", "unreadable": "0"}
    settings.SEALING_KEYS = [NEW]
    destinations.test(destination, at=clock(), actor=ANN)
    assert send_due(clock=clock) == Sent(delivered=1)
    assert verified(receiver.received[0].body, receiver.received[0].headers, secret)


def test_a_key_that_is_missing_delays_says_so_and_is_mended_by_giving_it_back(
    acme: Customer, clock: Clock, receiver: Receiver, settings: Settings
) -> None:
    lost, _ = hook(acme, clock, receiver.url)
    settings.SEALING_KEYS = [NEW]
    other, _ = hook(acme, clock, receiver.url)
    for each in (lost, other):
        destinations.test(each, at=clock(), actor=ANN)
    assert send_due(clock=clock) == Sent(delivered=1, put_off=1)
    assert (
        "its secret cannot be read: it was sealed under a key that KM_SEALING_KEY"
        in Attempt.objects.get(status=0).error
    )
    assert reseal() == Resealed(0, 1)
    settings.SEALING_KEYS = [NEW, OLD]
    clock.forward(minutes=5)
    assert send_due(clock=clock) == Sent(delivered=1)
    assert len(set(receiver.ids)) == 2


def test_the_one_before_signs_no_longer_than_its_day(acme: Customer, clock: Clock) -> None:
    destination, first = hook(acme, clock, "https://hooks.example.org/")
    second = destinations.rotate(destination, at=clock(), actor=ANN)
    row = Destination.objects.get()
    assert signing_secrets(row, at=clock()) == [second, first]
    assert signing_secrets(row, at=clock() + timedelta(days=1)) == [second]
