"""Draining needs no broker: the sweeper finds what is left, one drain runs at a time, and kicks are only hints."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from django.core.management import call_command
from django.db import OperationalError
from kombu.exceptions import OperationalError as BrokerError

from core.clock import now
from events import sweeper, wakeup
from events.drain import Drained
from events.models import Event, Heartbeat, QuarantinedEntry
from events.sweeper import Sweeper
from events.tasks import drain_inbox
from events.wakeup import Doorbell
from tests.events.samples import Sender, an_event, answer_of, await_that, drain_everything, waiting

TIMEOUT_SECONDS = 20


def test_a_sweep_drains_everything(sender: Sender) -> None:
    for _ in range(3):
        answer_of(sender.post([an_event()]))
    assert sweeper.sweep(clock=now).stored == 3
    assert waiting() == 0


def test_the_task_and_the_command_do_the_same(sender: Sender) -> None:
    answer_of(sender.post([an_event()]))
    drain_inbox()
    assert waiting() == 0
    answer_of(sender.post([an_event()]))
    assert "stored 1 events" in call_command("drain_inbox")


def test_the_redrive_command_puts_back_all_or_some(sender: Sender) -> None:
    answer_of(sender.post([an_event()]))
    row = QuarantinedEntry.objects.create(
        customer_id=1, received_at=now(), kind="events", events=0, retry_at=now(), quarantined_at=now(), body=b"{}"
    )
    assert "1 put back" in call_command("redrive_quarantine", str(row.pk))
    assert "0 put back" in call_command("redrive_quarantine", "--all")
    assert waiting() == 2


def test_a_sweep_while_another_drains_has_it_look_again(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, rounds = threading.Event(), threading.Event(), []

    def slow_drain(**_: object) -> Drained:
        rounds.append(threading.current_thread().name)
        begun.set()
        assert go_on.wait(TIMEOUT_SECONDS)
        return Drained()

    monkeypatch.setattr(sweeper, "drain", slow_drain)
    first = threading.Thread(target=lambda: sweeper.sweep(clock=now), name="first")
    first.start()
    assert begun.wait(TIMEOUT_SECONDS)
    assert sweeper.sweep(clock=now) == Drained()
    go_on.set()
    first.join(TIMEOUT_SECONDS)
    assert rounds == ["first", "first"]


def test_the_thread_sweeps_beats_and_survives_what_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[Exception] = [OperationalError("gone"), ZeroDivisionError()]
    swept, beats = threading.Event(), []

    def sweep(**_: object) -> Drained:
        if faults:
            raise faults.pop()
        swept.set()
        return Drained()

    monkeypatch.setattr(sweeper, "sweep", sweep)
    monkeypatch.setattr(sweeper, "beat", lambda name, **_: beats.append(name))
    thread = Sweeper(clock=now, every_seconds=0.01)
    thread.start()
    assert swept.wait(TIMEOUT_SECONDS)
    thread.stop()
    assert beats == [sweeper.WORKER]


@pytest.mark.django_db
def test_a_heartbeat_is_one_row() -> None:
    sweeper.beat("worker", now=now())
    sweeper.beat("worker", now=now())
    assert Heartbeat.objects.count() == 1


def ringing(ring: Callable[[], None]) -> Doorbell:
    return Doorbell(ring, pause_seconds=0.01)


def test_presses_in_between_are_one_ring() -> None:
    rings, ringing_now, go_on = [], threading.Event(), threading.Event()

    def ring() -> None:
        rings.append(1)
        ringing_now.set()
        assert go_on.wait(TIMEOUT_SECONDS)

    bell = ringing(ring)
    bell.press()
    assert ringing_now.wait(TIMEOUT_SECONDS)
    for _ in range(50):
        bell.press()
    go_on.set()
    await_that(lambda: len(rings) == 2)
    bell.press()
    await_that(lambda: len(rings) == 3)


def test_a_broker_that_is_down_neither_fails_nor_ends_anything() -> None:
    rings: list[int] = []

    def ring() -> None:
        rings.append(1)
        raise BrokerError("connection refused")

    bell = ringing(ring)
    bell.press()
    await_that(lambda: len(rings) == 1)
    bell.press()
    await_that(lambda: len(rings) == 2)


def test_a_broker_that_hangs_delays_no_request(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    hangs, let_go = threading.Event(), threading.Event()
    request.addfinalizer(let_go.set)

    def ring() -> None:
        hangs.set()
        let_go.wait(TIMEOUT_SECONDS)

    monkeypatch.setattr(wakeup, "_doorbell", ringing(ring))
    answer_of(sender.post([an_event()]))
    assert hangs.wait(TIMEOUT_SECONDS)
    answer_of(sender.post([an_event()]))
    assert not let_go.is_set()
    assert drain_everything().stored == 2
    assert Event.objects.count() == 2


def test_one_kick_waits_in_the_queue_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Celery("test", broker="memory://", set_as_current=False)
    monkeypatch.setattr(wakeup, "celery", SimpleNamespace(current_app=app))
    for _ in range(3):
        wakeup.send_drain()
    with app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        assert channel.queue_declare(queue=wakeup.QUEUE, passive=True).message_count == 1
