"""What every event log promises: appended once it is answered, drained once whatever dies, refused as a whole or not.

The same claims for the inbox on SQLite and on PostgreSQL and for RabbitMQ; then those of a log that may be away.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import amqp
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections
from django.test import override_settings

from core.clock import now
from customers import accounts
from customers.models import Customer, Tier
from events import inbox, ledger, logs, quarantine, queries, retention
from events.drain import Drained, drain
from events.logs import rabbitmq as rabbit_log
from events.logs.line import QUEUE, address_of
from events.models import DailyUsage, DrainedBatch, Event, InboxEntry, QuarantinedEntry, Session
from kmcloud import health
from tests.end_to_end.production_servers import Redis
from tests.events.conftest import sender_for
from tests.events.databases import POSTGRESQL, SQLITE, real_database
from tests.events.rabbits import Node, programs, rabbitmq
from tests.events.samples import Sender, a_call, an_event, answer_of, await_that, code_of, drain_everything

RABBITMQ = "RabbitMQ, with PostgreSQL"
LOGS = [
    pytest.param(f"inbox on {SQLITE}"),
    pytest.param(f"inbox on {POSTGRESQL}", marks=pytest.mark.servers),
    pytest.param(RABBITMQ, marks=pytest.mark.servers),
]
only_rabbitmq = pytest.mark.parametrize("servers", LOGS[-1:], indirect=True)
ROOT = Path(__file__).resolve().parent.parent.parent
DRAINER_SECONDS = 60


@dataclass(frozen=True)
class World:
    """The log and the servers it stands on. `node` is there for RabbitMQ alone."""

    node: Node | None
    redis_url: str

    def drainer(self, dies: str = "") -> subprocess.Popen[str]:
        """Another worker."""
        database = {name: connection.settings_dict[name] for name in ("ENGINE", "NAME", "USER", "HOST", "OPTIONS")}
        url = self.node.url if self.node else ""
        log = logs.RABBITMQ if self.node else logs.INBOX
        told = {"database": database, "log": log, "log_url": url, "redis_url": self.redis_url, "dies": dies}
        return subprocess.Popen(
            [sys.executable, "-m", "tests.events.drainer", json.dumps(told)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module", params=LOGS)
def servers(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Started once for all tests of this module."""
    with ExitStack() as running:
        running.enter_context(django_db_blocker.unblock())
        if request.param != RABBITMQ:
            running.enter_context(real_database(request.param.removeprefix("inbox on ")))
            yield World(None, "")
            return
        if programs() is None:
            pytest.skip("RabbitMQ is not installed")
        running.enter_context(real_database(POSTGRESQL))
        redis = Redis(request.getfixturevalue("tmp_path_factory").mktemp("redis"))
        redis.start()
        running.callback(redis.stop)
        node = running.enter_context(rabbitmq())
        yield World(node, redis.url)


@pytest.fixture
def world(servers: World) -> Iterator[World]:
    """With nothing in them, and in use."""
    log = logs.RABBITMQ if servers.node else logs.INBOX
    url = servers.node.url if servers.node else ""
    with override_settings(EVENT_LOG=log, EVENT_LOG_URL=url, REDIS_URL=servers.redis_url):
        logs._made.cache_clear()
        if servers.node is not None:
            purge(servers.node)
        call_command("flush", verbosity=0, interactive=False)
        yield servers
        logs.current().close()
        logs._made.cache_clear()


@pytest.fixture
def rabbit(world: World) -> Node:
    """For what only a log outside of the database has."""
    assert world.node is not None
    return world.node


@pytest.fixture
def customer(world: World) -> Customer:
    return accounts.create_customer("Acme", "enterprise", at=now())


@pytest.fixture
def sender(customer: Customer) -> Sender:
    """In the place of the room's, whose database is the one in memory."""
    return sender_for(customer)


def purge(node: Node) -> None:
    with amqp.Connection(**address_of(node.url)) as link:
        channel = link.channel()
        if logs.current().waiting():  # which also declares what there must be
            channel.queue_purge(QUEUE)


def send(sender: Sender, batches: int, *, events: int = 5) -> set[UUID]:
    """Ids of what was acknowledged."""
    sent = [an_event() for _ in range(batches * events)]
    for start in range(0, len(sent), events):
        answer_of(sender.post(sent[start : start + events]))
    return ids_of(sent)


def ids_of(events: Sequence[dict[str, Any]]) -> set[UUID]:
    return {UUID(each["id"]) for each in events}


def in_the_log() -> int:
    """Requests that wait, wherever."""
    return queries.inbox_depth().requests


def stored() -> set[UUID]:
    return set(Event.objects.values_list("id", flat=True))


def assert_stored_once(sent: set[UUID]) -> None:
    """What was sent is what is stored, and what is counted."""
    assert stored() == sent
    assert in_the_log() == 0
    counted = [(usage.accepted, usage.stored) for usage in DailyUsage.objects.all()]
    assert counted == [(len(sent), len(sent))]
    assert sum(Session.objects.values_list("events", flat=True)) == len(sent)


def test_what_is_appended_is_drained_byte_for_byte_and_once(world: World, sender: Sender) -> None:
    odd = {"jsonrpc": "2.0", "method": "x", "params": {"text": "ä\u2028\U0001f600" * 500}}
    sent = [an_event(message=odd, size=number) for number in range(1, 40)]
    for start in range(0, 39, 13):
        answer_of(sender.post(sent[start : start + 13]))
    refused = answer_of(sender.post([an_event(type="no such type"), last := an_event(message=odd)]))
    assert [each["index"] for each in refused["rejected"]] == [0]
    assert in_the_log() == 4
    assert drain_everything() == Drained(rows=4, stored=40)
    assert {json.dumps(json.loads(each.message)) for each in Event.objects.all()} == {json.dumps(odd)}
    assert_stored_once(ids_of([*sent, last]))
    assert drain(now=now()) == Drained()


def test_a_refused_quota_appends_and_counts_nothing(world: World) -> None:
    Tier.objects.filter(code="free").update(events_per_day=10)
    small = sender_for(accounts.create_customer("Small", "free", at=now()))
    sent = [an_event() for _ in range(8)]
    answer_of(small.post(sent))
    drain_everything()
    assert code_of(small.post([an_event() for _ in range(3)])) == (429, "quota_exceeded")
    assert in_the_log() == 0
    answer_of(small.post(more := [an_event(), an_event()]))
    assert drain_everything().stored == 2
    assert_stored_once(ids_of([*sent, *more]))


def test_repeated_and_reordered_bodies_are_stored_and_counted_once(world: World, sender: Sender) -> None:
    events = [each for number in range(20) for each in a_call(f"c{number}")]
    for _ in range(3):
        random.shuffle(events)
        for start in range(0, len(events), 7):
            answer_of(sender.post(events[start : start + 7]))
    done = drain_everything()
    assert (done.stored, done.duplicates) == (40, 80)
    assert_stored_once(ids_of(events))


@pytest.mark.parametrize("dies", ["before the commit", "after the commit"])
def test_a_worker_that_is_killed_leaves_every_batch_stored_once(world: World, sender: Sender, dies: str) -> None:
    sent = send(sender, batches=6)
    killed = world.drainer(dies)
    assert killed.wait(DRAINER_SECONDS) == -signal.SIGKILL
    assert len(stored()) == (0 if dies == "before the commit" else len(sent))
    if world.node is not None:  # the connection of a dead process is noticed, and what it held comes again
        await_that(lambda: logs.current().waiting() == 6)
    done = drain_everything()
    assert done.stored == (len(sent) if dies == "before the commit" else 0)
    assert_stored_once(sent)
    assert DailyUsage.objects.get().duplicates == 0


def test_workers_that_drain_at_once_store_everything_once(world: World, sender: Sender) -> None:
    sent = send(sender, batches=30)
    other = world.drainer()
    mine, errors = Drained(), list[Exception]()

    def work() -> None:
        nonlocal mine
        try:
            while other.poll() is None:
                mine += drain(now=now())
        except Exception as error:  # noqa: BLE001 - shown by the test
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    theirs, _ = other.communicate(timeout=DRAINER_SECONDS)
    for thread in threads:
        thread.join()
    drain_everything()
    assert (errors, other.returncode, int(theirs) >= 0) == ([], 0, True)
    assert_stored_once(sent)


def test_a_poison_body_stops_nobody_goes_to_quarantine_and_comes_back(
    world: World, customer: Customer, sender: Sender
) -> None:
    good = [an_event(), an_event()]
    answer_of(sender.post(good[:1]))
    moment = now()
    bad = an_event()
    draft = inbox.Draft(customer.pk, moment, "events", "", b"no longer JSON", {uuid4(): 0}, [], 0, None)
    inbox.append(draft)
    answer_of(sender.post(good[1:]))
    assert drain(now=moment + timedelta(seconds=1)).stored == 2
    left = InboxEntry.objects.get()
    assert (left.attempts, left.events, bytes(left.body), left.received_at) == (1, 1, draft.body, moment)
    assert "EventError" in left.error
    assert drain(now=moment + timedelta(seconds=1)).rows == 0  # put off
    for delay in range(1, 5):
        drain(now=moment + timedelta(minutes=2 * delay))
    kept = QuarantinedEntry.objects.get()
    assert (in_the_log(), bytes(kept.body), kept.attempts) == (0, draft.body, len(quarantine.DELAYS) + 1)
    QuarantinedEntry.objects.update(body=json.dumps({"events": [bad]}).encode())
    assert quarantine.redrive([kept.pk], now=now()) == 1
    assert drain_everything().stored == 1
    assert_stored_once(ids_of([*good, bad]))


@only_rabbitmq
def test_while_the_log_is_away_nothing_is_taken_over_or_counted_and_nobody_waits(
    rabbit: Node, sender: Sender, capsys: pytest.CaptureFixture[str]
) -> None:
    before = send(sender, batches=2)
    rabbit.kill()
    lost = [an_event() for _ in range(3)]
    begun = time.monotonic()
    for _ in range(3):
        response = sender.post(lost)
        assert code_of(response) == (503, "event_log_unavailable")
        assert int(response["Retry-After"]) > 0
        assert drain(now=now()) == Drained()
        assert logs.current().waiting() is None
        assert health.check_log().status == health.UNAVAILABLE
    assert time.monotonic() - begun < 3
    assert not DailyUsage.objects.exists()
    with pytest.raises(CommandError, match="does not answer"):
        call_command("drain_inbox")
    rabbit.start()
    await_that(lambda: sender.post(lost).status_code == 200)  # once the breaker lets somebody try
    await_that(lambda: in_the_log() == 3)
    assert drain_everything().stored == 13
    assert health.check_log().status == health.OK
    assert_stored_once(before | ids_of(lost))


@only_rabbitmq
def test_the_inbox_is_drained_while_the_log_is_away(
    rabbit: Node, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    with override_settings(EVENT_LOG=logs.INBOX):
        sent = send(sender, batches=2)
    monkeypatch.setattr(logs.current()._consumer.line, "_url", "amqp://guest:guest@127.0.0.1:1/")  # type: ignore[attr-defined]
    assert drain_everything().stored == len(sent)


@only_rabbitmq
def test_a_log_that_hangs_is_a_503_in_bounded_time_and_then_at_once(
    rabbit: Node, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbit_log, "CONFIRM_SECONDS", 0.5)
    logs._made.cache_clear()
    sent, hung = send(sender, batches=1), [an_event()]
    rabbit.freeze()
    try:
        seconds = []
        for _ in range(2):
            begun = time.monotonic()
            assert code_of(sender.post(hung)) == (503, "event_log_unavailable")
            seconds.append(time.monotonic() - begun)
    finally:
        rabbit.thaw()
    assert 0.4 < seconds[0] < 3
    assert seconds[1] < 0.2
    await_that(lambda: sender.post(hung).status_code == 200)
    sent |= ids_of(hung)
    await_that(lambda: drain_everything() == Drained() and stored() == sent)  # what hung may come as well
    assert_stored_once(sent)


@only_rabbitmq
def test_a_full_queue_refuses_and_takes_again_when_there_is_room(rabbit: Node, sender: Sender) -> None:
    first = send(sender, batches=1)
    rabbit.control("set_policy", "full", QUEUE, '{"max-length": 3}', "--apply-to", "queues")
    acknowledged, refused = set(first), list[Any]()
    for _ in range(30):
        response = sender.post(batch := [an_event()])
        if response.status_code == 200:
            acknowledged |= ids_of(batch)
        else:
            refused.append((code_of(response), batch))
    assert {code for code, _ in refused} == {(503, "event_log_unavailable")}
    drain_everything()
    assert stored() >= acknowledged
    rabbit.control("clear_policy", "full")
    again = [each for _, batch in refused for each in batch]
    await_that(lambda: sender.post(again).status_code == 200)
    drain_everything()
    assert_stored_once(acknowledged | ids_of(again))


@only_rabbitmq
def test_a_message_of_a_stranger_is_rejected_and_the_others_are_stored(rabbit: Node, sender: Sender) -> None:
    sent = send(sender, batches=1)
    with amqp.Connection(**address_of(rabbit.url)) as link:
        link.channel().basic_publish(amqp.Message(b"hello", application_headers={"events": "x"}), routing_key=QUEUE)
    await_that(lambda: in_the_log() == 2)
    sent |= send(sender, batches=1)
    assert drain_everything().stored == len(sent)
    assert_stored_once(sent)


@only_rabbitmq
def test_a_database_that_is_away_leaves_what_was_taken_for_the_next_round(
    rabbit: Node, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = send(sender, batches=3)

    def away(*_: object, **__: object) -> None:
        raise OperationalError("the database system is shutting down")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "enter", away)
        with pytest.raises(OperationalError):
            drain(now=now())
    assert drain_everything().stored == len(sent)
    assert_stored_once(sent)


@only_rabbitmq
def test_a_connection_that_is_lost_between_commit_and_acknowledgement_counts_nothing_twice(
    rabbit: Node, sender: Sender
) -> None:
    sent = send(sender, batches=3)
    log = logs.current()
    with log.taken() as batches:
        assert len(batches) == 3
        log._consumer.line._connection.sock.shutdown(2)  # type: ignore[attr-defined]
        more = send(sender, batches=1)  # what the new connection may bring before anything is acknowledged
        DrainedBatch.objects.bulk_create([DrainedBatch(id=batch.id, at=now()) for batch in batches])
    await_that(
        lambda: drain_everything() == Drained() and stored() == more
    )  # what is in the ledger is not stored again
    assert_stored_once(more)
    assert sent.isdisjoint(more)


@only_rabbitmq
def test_a_forked_child_leaves_its_parents_connection_alone(rabbit: Node, sender: Sender) -> None:
    sent = send(sender, batches=1)
    channel = logs.current()._publisher.line._channel  # type: ignore[attr-defined]
    child = os.fork()
    if child == 0:
        status = 1
        try:
            line = logs.current()._publisher.line  # type: ignore[attr-defined]
            status = 0 if line._connection is None else 2
            channel.connection._transport.__del__()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    sent |= send(sender, batches=1)
    assert logs.current()._publisher.line._channel is channel  # type: ignore[attr-defined]
    drain_everything()
    assert_stored_once(sent)


@only_rabbitmq
def test_draining_by_command_tells_what_was_done(rabbit: Node, sender: Sender) -> None:
    send(sender, batches=2)
    assert call_command("drain_inbox") == "stored 10 events of 2 requests, 0 were there already"


@pytest.mark.django_db
def test_the_ledger_is_kept_for_a_day() -> None:
    moment = now()
    ages = (timedelta(hours=1), timedelta(hours=23), timedelta(hours=25), timedelta(days=9))
    DrainedBatch.objects.bulk_create([DrainedBatch(id=uuid4(), at=moment - age) for age in ages])
    retention.expire(now=moment, pause=lambda _: None)
    assert [moment - each.at for each in DrainedBatch.objects.order_by("-at")] == list(ages[:2])
