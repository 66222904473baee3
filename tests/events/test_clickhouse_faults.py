"""ClickHouse dies, hangs, is away, or sees a drain die: every event is stored once, counted once, and none is lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection
from django.test import Client

from core.clock import now
from customers import accounts, proofs
from customers.models import Customer
from events import drain, queries, sessions, stores
from events.event_ids import DAY
from events.models import DailyRollup, DailyUsage, EventKey, InboxEntry, QuarantinedEntry, Session
from events.stores.clickhouse import connection as http
from events.stores.clickhouse.store import ClickhouseStore
from kmcloud import health
from tests.events.clickhouses import DATABASE_OF, ON_SQLITE, ClickHouse, clickhouse
from tests.events.conftest import sender_for
from tests.events.databases import real_database
from tests.events.samples import Sender, an_event, answer_of, await_that, drain_everything, waiting
from tests.events.scenario import every, ids

pytestmark = pytest.mark.servers


@dataclass(frozen=True)
class Service:
    """A service on ClickHouse, with one customer and its client."""

    server: ClickHouse
    acme: Customer
    sender: Sender

    def shown(self) -> list[str]:
        return ids(every(lambda cursor: queries.recent_events(self.acme.pk, after=cursor, limit=100)))

    def has_once(self, events: list[dict[str, Any]]) -> None:
        """`events` are stored and counted, each once, and nothing else."""
        assert sorted(self.shown()) == sorted(event["id"] for event in events)
        counted = [
            sum(row.events for row in Session.objects.all()),
            sum(row.events for row in DailyRollup.objects.all()),
        ]
        assert [*counted, DailyUsage.objects.get().stored, EventKey.objects.count()] == [len(events)] * 4
        assert (waiting(), QuarantinedEntry.objects.count()) == (0, 0)


@pytest.fixture(params=DATABASE_OF)
def service(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[Service]:
    """A new one."""
    with django_db_blocker.unblock(), real_database(DATABASE_OF[request.param]), clickhouse() as server:
        proofs.forget_all()
        acme = accounts.create_customer("Acme", "enterprise", at=now())
        yield Service(server, acme, sender_for(acme))


on_sqlite = pytest.mark.parametrize("service", [ON_SQLITE], indirect=True)


def rows_there(condition: str = "1") -> int:
    """Rows in the table, those of one event counted one by one."""
    return int(http.writer().rows(f"SELECT count() FROM events WHERE {condition}")[0][0])


def scraped() -> str:
    return Client(SERVER_NAME="localhost").get("/metrics").content.decode()


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def drain_and_die() -> None:
    """In a process of its own: after ClickHouse has the rows, and before anything is counted or committed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "add", die)
        drain.drain(now=now())


def test_a_drain_killed_before_its_commit_leaves_each_event_once(service: Service) -> None:
    sent = [an_event() for _ in range(60)]
    answer_of(service.sender.post(sent[:40]))
    answer_of(service.sender.post(sent[20:]))
    for time_around in (1, 2):
        connection.close()
        process = multiprocessing.get_context("fork").Process(target=drain_and_die)
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        assert (rows_there(), EventKey.objects.count(), InboxEntry.objects.count()) == (60 * time_around, 0, 2)
    done = drain_everything()
    assert (done.stored, done.duplicates, rows_there()) == (60, 20, 180)
    service.has_once(sent)
    assert len(queries.session_events(service.acme.pk, "s1", limit=100).rows) == 60
    assert len(queries.session_exchanges(service.acme.pk, "s1", limit=100).rows) == 60
    tail = queries.session_tail(service.acme.pk, "s1", last=59)
    assert len(queries.session_events(service.acme.pk, "s1", after=tail, limit=100).rows) == 59
    http.writer().run("OPTIMIZE TABLE events FINAL")
    assert rows_there() == 60
    service.has_once(sent)


def test_clickhouse_killed_in_mid_drain_again_and_again_loses_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClickhouseStore, "claimed_events", 20)
    sent = [an_event() for _ in range(800)]
    for start in range(0, len(sent), 10):
        answer_of(service.sender.post(sent[start : start + 10]))
    met: list[type[BaseException]] = []

    def work() -> None:
        try:
            drain_everything()
        except OperationalError as error:
            met.append(type(error))
        finally:
            connection.close()

    for left in (65, 40, 15):
        worker = threading.Thread(target=work)
        worker.start()
        await_that(lambda: waiting() <= left)  # noqa: B023
        service.server.kill()
        worker.join(120)
        assert not worker.is_alive()
        service.server.start()
    assert met
    drain_everything()
    service.has_once(sent)


@on_sqlite
def test_while_clickhouse_is_away_events_are_accepted_and_pages_say_so(service: Service) -> None:
    sent = [an_event() for _ in range(5)]
    answer_of(service.sender.post(sent[:3]))
    drain_everything()
    service.server.kill()
    assert answer_of(service.sender.post(sent))["duplicates"] == 3
    for _ in range(20):  # more often than a row that cannot be stored is tried
        with pytest.raises(OperationalError, match="ClickHouse"):
            drain.drain(now=now() + DAY)
    page = service.sender.get("/api/activity")
    assert (page.status_code, "Retry-After" in page.headers) == (503, True)
    stores.current().prepare(now=now())  # the hour's work goes on
    assert health.check_store().status == health.health().checks["store"].status == health.DEGRADED
    assert "km_event_store_up 0.0" in scraped()
    service.server.start()
    assert health.check_store().status == health.OK
    assert "km_event_store_up 1.0" in scraped()
    drain_everything()
    service.has_once(sent)


@on_sqlite
def test_a_clickhouse_that_hangs_is_not_waited_for_long(service: Service, settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(http, "READ_SECONDS", 1)
    monkeypatch.setattr(http, "WRITE_SECONDS", 1)
    address = settings.CLICKHOUSE_URL
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never says a word
        settings.CLICKHOUSE_URL = f"http://127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        sent = [an_event()]
        answer_of(service.sender.post(sent))
        assert time.monotonic() - begun < 1
        assert not stores.current().answers()
        assert time.monotonic() - begun < 5
        with pytest.raises(OperationalError, match="ClickHouse"):
            drain_everything()
        with pytest.raises(OperationalError, match="ClickHouse"):
            queries.event(service.acme.pk, UUID(sent[0]["id"]))
        assert time.monotonic() - begun < 15
    settings.CLICKHOUSE_URL = address
    drain_everything()
    service.has_once(sent)


@on_sqlite
def test_what_clickhouse_refuses_is_no_rows_fault(service: Service, settings: Any) -> None:
    sent = [an_event()]
    answer_of(service.sender.post(sent))
    address = settings.CLICKHOUSE_URL
    settings.CLICKHOUSE_URL = address.replace("km:", "km:not")
    with pytest.raises(OperationalError, match="516"):
        drain_everything()
    settings.CLICKHOUSE_URL = address
    http.writer().run("RENAME TABLE events TO elsewhere")
    with pytest.raises(OperationalError, match="UNKNOWN_TABLE"):
        drain_everything()
    http.writer().run("RENAME TABLE elsewhere TO events")
    drain_everything()
    service.has_once(sent)
