"""What befalls the database of a production service under load: it hangs, fills up, turns clients away, slows, changes.

While it lasts, events are refused with 503 and `Retry-After` in bounded time or not at all; afterwards everything goes
on by itself: sent is stored, once.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

from core.postgresql.base import CANCEL_SECONDS
from kmcloud.management.commands.migrate import LOCK_SECONDS
from tests.end_to_end.conftest import DATABASE_SECONDS
from tests.end_to_end.production_checks import assert_only_503, assert_stored_once
from tests.end_to_end.production_load import Answers, Load
from tests.end_to_end.production_stack import MANAGE, Stack
from tests.end_to_end.waiting import eventually
from tests.events.databases import ROLE

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("production")]

BETWEEN = 20  # batches acknowledged before a fault and after it
REFUSED = 12  # requests answered 503 before a fault ends: some of each sender
BUSY_SECONDS = 2.0  # what a machine with two cores may add to any answer while everything else runs too
COMMIT_SECONDS = 0.1  # of the slow disk; the most PostgreSQL lets us ask for


def refused(load: Load, fault: Callable[[], object]) -> Answers:
    """Have `fault` happen, and wait until the service turns clients away; what it answers then."""
    load.begin_anew()
    fault()
    for _ in range(2):
        assert_only_503(load)
        load.begin_anew()
        eventually(lambda: load.answers.refusals.get(503, 0) >= REFUSED, what="requests are answered 503")
    assert_only_503(load)
    return load.begin_anew()


def health(stack: Stack) -> tuple[int, dict[str, Any]]:
    """What `/health` answers, with its status."""
    request = urllib.request.Request(f"{stack.ready['url']}/health", headers={"Host": "km.example.org"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_postgresql_that_hangs_is_answered_503_in_time_and_all_go_on_when_it_does(production: Stack) -> None:
    customer = production.customer()
    with Load(production.address, customer["api_key"]) as load:
        load.await_batches(BETWEEN)
        try:
            begun = time.monotonic()
            assert refused(load, production.database.freeze).seconds == []
            assert time.monotonic() - begun < 2 * (DATABASE_SECONDS + CANCEL_SECONDS) + BUSY_SECONDS
            assert health(production)[0] == 503
        finally:
            production.database.thaw()
        load.await_batches(BETWEEN)
    assert_only_503(load)
    assert_stored_once(production, load, customer)


def test_a_full_disk_of_postgresql_is_answered_503_and_space_is_all_it_needs(production: Stack) -> None:
    database, customer = production.database, production.customer()
    if not database.has_own_disk:
        pytest.skip("a full disk needs root and the right to mount a tmpfs")
    with Load(production.address, customer["api_key"]) as load:
        load.await_batches(BETWEEN)
        try:
            refused(load, database.fill_disk)  # what still fits into a page is stored
        finally:
            database.free_disk()
        if database.pid() is None:  # it could not write its log and ended: whoever runs it starts it again
            database.start()
        load.await_batches(BETWEEN)
    assert_only_503(load)
    assert_stored_once(production, load, customer)


@contextmanager
def role_at_its_limit(stack: Stack) -> Iterator[None]:
    """The service's role may have no connection any more."""
    stack.database.tell(f"ALTER ROLE {ROLE} CONNECTION LIMIT 0")
    stack.database.end_connections()
    try:
        yield
    finally:
        stack.database.tell(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")


@contextmanager
def server_at_its_limit(stack: Stack) -> Iterator[None]:
    """Others hold every connection that the server has."""
    stack.database.tell("DROP ROLE IF EXISTS crowd", "CREATE ROLE crowd LOGIN")
    url = stack.database.url.replace(ROLE, "crowd")
    with ExitStack() as crowd:

        def crowded_out() -> bool:
            ended = stack.database.end_connections()
            try:
                while True:
                    crowd.enter_context(psycopg.connect(url))
            except psycopg.OperationalError:
                return ended == 0

        eventually(crowded_out, what="others hold every connection")
        yield


@pytest.mark.parametrize("limit", [role_at_its_limit, server_at_its_limit])
def test_at_the_connection_limit_every_answer_is_503_and_below_it_all_is_well(
    production: Stack, limit: Callable[[Stack], Any]
) -> None:
    customer = production.customer()
    with Load(production.address, customer["api_key"]) as load:
        load.await_batches(BETWEEN)
        with ExitStack() as reached:
            assert refused(load, lambda: reached.enter_context(limit(production))).seconds == []
        load.await_batches(BETWEEN)
    assert_only_503(load)
    assert_stored_once(production, load, customer)


def test_a_slow_disk_slows_each_answer_and_commits_are_shared(production: Stack) -> None:
    """A commit of PostgreSQL takes 0.1 s longer: one at a time would be ten requests a second."""
    customer = production.customer()
    production.database.set(commit_delay=str(int(COMMIT_SECONDS * 1e6)), commit_siblings="0")
    try:
        with Load(production.address, customer["api_key"], senders=16) as load:
            load.await_batches(16)
            load.begin_anew()
            begun = time.monotonic()
            load.await_batches(10 * 16)
            rate = 10 * 16 / (time.monotonic() - begun)
            slow = load.begin_anew()
            status, answer = health(production)
        assert slow.refusals == {}
        assert slow.percentile(0.05) > COMMIT_SECONDS
        assert rate > 2 / COMMIT_SECONDS, f"{rate:.0f} requests a second"
        assert (status, answer["checks"]["inbox"]["status"]) == (200, "ok")
    finally:
        production.database.set(commit_delay="", commit_siblings="")
    assert_stored_once(production, load, customer)


def test_a_migration_in_mid_load_waits_for_nobody_long_and_nobody_waits_long_for_it(production: Stack) -> None:
    """A `pg_dump`, or a long report, holds a table; whoever asks for it alone makes everybody queue behind."""
    customer = production.customer()
    migrate = [*MANAGE, "migrate", "--settings", "tests.end_to_end.later_release.settings"]
    with Load(production.address, customer["api_key"]) as load:
        load.await_batches(BETWEEN)
        load.begin_anew()
        with psycopg.connect(production.database.superuser_url) as report:
            report.execute("LOCK TABLE events_event IN ACCESS SHARE MODE")
            running = subprocess.Popen(
                migrate, env=production.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            assert running.stderr is not None
            said = running.stderr.readline()
        assert running.wait(60) == 0, said + running.stderr.read()
        running.stderr.close()
        assert "a table is in use" in said
        load.await_batches(BETWEEN)
    assert_only_503(load)
    assert load.answers.slowest < LOCK_SECONDS + BUSY_SECONDS
    added = (
        "SELECT count(*) FROM information_schema.columns WHERE column_name = 'later' AND table_name LIKE 'events_%%'"
    )
    assert production.database.ask(added)[0][0] > 2, "it reached the tables and the partitions"
    assert production.database.ask("SELECT count(*) FROM django_migrations WHERE app = 'later_release'") == [(3,)]
    assert_stored_once(production, load, customer)
