"""A PostgreSQL that does not answer is waited for as long as was said, and then for a while not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from core.breaker import Breaker
from core.postgresql import base
from tests.end_to_end.production_servers import PostgreSQL
from tests.end_to_end.waiting import eventually
from tests.events.databases import postgres_programs

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(postgres_programs() is None, reason="PostgreSQL is not installed"),
]

ANSWER_SECONDS = 0.5
PAUSE_SECONDS = 0.5
BUSY_SECONDS = 2.0  # what a busy machine may add
ACTIVE = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'service' AND state = 'active'"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A PostgreSQL for the tests of this file."""
    running = PostgreSQL()
    running.start()
    yield running
    running.destroy()


@pytest.fixture
def connection(
    server: PostgreSQL, monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any
) -> Iterator[BaseDatabaseWrapper]:
    """A connection of Django's, of nobody else's, with a breaker of its own."""
    monkeypatch.setattr(base, "breaker", Breaker(PAUSE_SECONDS))
    settings = connections.configure_settings(
        {
            "default": {
                "ENGINE": "core.postgresql",
                "NAME": "postgres",
                "USER": "service",
                "HOST": "127.0.0.1",
                "PORT": str(server.port),
                "OPTIONS": {"answer_seconds": ANSWER_SECONDS, "connect_timeout": 2},
            }
        }
    )
    made = base.DatabaseWrapper(settings["default"], "default")
    with django_db_blocker.unblock():
        yield made
        made.close()


def ask(connection: BaseDatabaseWrapper, query: str = "SELECT 1") -> None:
    with connection.cursor() as cursor:
        cursor.execute(query)


@contextmanager
def takes(at_least: float, at_most: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert at_least <= time.monotonic() - begun < at_most


def test_a_statement_that_takes_too_long_is_ended_on_both_sides_and_others_are_not_held_up(
    server: PostgreSQL, connection: BaseDatabaseWrapper
) -> None:
    ask(connection)
    with takes(ANSWER_SECONDS, ANSWER_SECONDS + BUSY_SECONDS), pytest.raises(OperationalError, match="did not answer"):
        ask(connection, "SELECT pg_sleep(60)")
    eventually(lambda: server.ask(ACTIVE) == [(0,)], what="the server has dropped it")
    connection.close()
    ask(connection)  # at once: the server took the cancellation, so it lives


def test_a_server_that_hangs_costs_one_wait_then_none_until_it_goes_on(
    server: PostgreSQL, connection: BaseDatabaseWrapper
) -> None:
    ask(connection)
    server.freeze()
    try:
        most = ANSWER_SECONDS + base.CANCEL_SECONDS + BUSY_SECONDS
        with takes(ANSWER_SECONDS, most), pytest.raises(OperationalError):
            ask(connection)
        connection.close()
        with takes(0.0, ANSWER_SECONDS), pytest.raises(OperationalError, match="a moment ago"):
            ask(connection)
    finally:
        server.thaw()

    def answers() -> bool:
        try:
            ask(connection)
        except OperationalError:
            return False
        return True

    eventually(answers, within=10, what="it is asked again")


def test_a_transaction_that_ran_out_of_time_leaves_nothing_behind(
    server: PostgreSQL, connection: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(connection, "CREATE TABLE IF NOT EXISTS notes (note text)")
    monkeypatch.setitem(connections.settings, "patient", connection.settings_dict)
    connections["patient"] = connection
    try:
        with pytest.raises(OperationalError), transaction.atomic(using="patient"):
            ask(connection, "INSERT INTO notes VALUES ('half')")
            ask(connection, "SELECT pg_sleep(60)")
        ask(connection, "INSERT INTO notes VALUES ('whole')")
    finally:
        del connections["patient"]
    assert server.ask("SELECT note FROM notes") == [("whole",)]
