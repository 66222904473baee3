"""`kill -9` and worse of every part of a production service under load: sent is stored, once, and nothing is lost.

One running stack for all tests of this file; each sends as customers of its own, so their order does not matter.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.end_to_end.production_load import BATCH_EVENTS, Load
from tests.end_to_end.production_servers import are_installed
from tests.end_to_end.production_stack import Stack
from tests.end_to_end.waiting import eventually

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(not are_installed(), reason="PostgreSQL or Redis is not installed"),
    pytest.mark.xdist_group("production"),
]

BETWEEN = 20  # batches acknowledged between one fault and the next
DOWN_SECONDS = 3.0
REVOKED_SECONDS = 2.0  # a process asks Redis once a second
AT_ONCE_SECONDS = 0.5  # what a request may take on a busy machine and still not have waited for anybody


Customers = dict[str, dict[str, str]]
TIERS = dict.fromkeys(
    ["Processes", "Servers", "Down", "Free", "Quiet", "Poison", "Stop", "Revoked", "web", "ingest", "web's process"],
    "enterprise",
) | {"Limited": "pro", "Noisy": "free"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, own_home: Path) -> Iterator[Stack]:
    """The service all tests of this file break and mend."""
    with Stack(tmp_path_factory.mktemp("production")) as running:
        yield running


@pytest.fixture(scope="module")
def customers(stack: Stack) -> Customers:
    """A customer with a key for each test, by name."""
    return stack.make_customers(TIERS)


def assert_stored_once(stack: Stack, customer: dict[str, str], load: Load) -> None:
    """What was acknowledged is what is stored and what is counted."""
    stack.wait_until_drained()
    owner = f"(SELECT id FROM customers_customer WHERE public_id = '{customer['customer']}')"
    stored = [str(row[0]) for row in stack.database.ask(f"SELECT id FROM events_event WHERE customer_id = {owner}")]
    assert len(stored) == len(set(stored)), "an event is stored twice"
    assert load.acknowledged - set(stored) == set(), "an acknowledged event is lost"
    sent_blindly = len(set(stored) - load.acknowledged)  # stored, but its answer was lost when the test ended
    assert sent_blindly <= BATCH_EVENTS * 8
    for query in (
        f"SELECT sum(events) FROM events_session WHERE customer_id = {owner}",
        f"SELECT sum(events) FROM events_hourlyrollup WHERE customer_id = {owner}",
        f"SELECT sum(events) FROM events_dailyrollup WHERE customer_id = {owner}",
        f"SELECT sum(stored) FROM events_dailyusage WHERE customer_id = {owner}",
        f"SELECT sum(accepted) FROM events_dailyusage WHERE customer_id = {owner}",
    ):
        assert stack.database.ask(query) == [(len(stored),)], query


def test_kill_9_of_every_process_in_mid_load_loses_nothing(stack: Stack, customers: Customers) -> None:
    customer = customers["Processes"]
    with Load(stack.address, customer["api_key"]) as load:
        for victim in ("web's process", "ingest", "beat", "builds", "web", "maintenance", "signing"):
            load.await_batches(BETWEEN)
            stack.kill_9(victim)
        load.await_batches(BETWEEN)
        eventually(lambda: all(stack.program(name) for name in ("web", "ingest", "beat", "builds")), what="all run")
    assert_stored_once(stack, customer, load)


def test_kill_9_of_redis_and_of_postgresql_in_mid_load_loses_nothing(stack: Stack, customers: Customers) -> None:
    customer = customers["Servers"]
    with Load(stack.address, customer["api_key"]) as load:
        load.await_batches(BETWEEN)
        stack.redis.kill()
        load.await_batches(BETWEEN)
        stack.redis.start()
        stack.database.kill()
        stack.database.start()
        load.await_batches(BETWEEN)
    assert_stored_once(stack, customer, load)


@pytest.mark.parametrize("pair", [("web", "postgresql"), ("ingest", "redis"), ("web's process", "ingest")])
def test_kill_9_of_two_at_once_loses_nothing(stack: Stack, customers: Customers, pair: tuple[str, str]) -> None:
    customer = customers[pair[0]]
    with Load(stack.address, customer["api_key"]) as load:
        load.await_batches(BETWEEN)
        stack.kill_9(pair[0])
        if pair[1] == "postgresql":
            stack.database.kill()
            stack.database.start()
        elif pair[1] == "redis":
            stack.redis.kill()
            stack.redis.start()
        else:
            stack.kill_9(pair[1])
        load.await_batches(BETWEEN)
    assert_stored_once(stack, customer, load)


def test_while_postgresql_is_down_every_answer_is_503_with_retry_after_and_nothing_is_lost(
    stack: Stack, customers: Customers
) -> None:
    customer = customers["Down"]
    with Load(stack.address, customer["api_key"]) as load:
        load.await_batches(BETWEEN)
        stack.database.kill()
        load.begin_anew()
        begun = time.monotonic()
        eventually(lambda: time.monotonic() - begun > DOWN_SECONDS and load.answers.refusals.get(503, 0) > 10)
        down = load.begin_anew()
        stack.database.start()
        load.await_batches(BETWEEN)
    assert (set(down.refusals), down.seconds, down.without_retry_after) == ({503}, [], 0)
    assert_stored_once(stack, customer, load)


def test_a_redis_that_is_gone_or_hangs_delays_no_request_and_no_event(stack: Stack, customers: Customers) -> None:
    limited, free = customers["Limited"], customers["Free"]
    with ExitStack() as running:
        loads = [running.enter_context(Load(stack.address, each["api_key"], senders=2)) for each in (limited, free)]
        for fault, repair in ((stack.redis.kill, stack.redis.start), (stack.redis.freeze, stack.redis.thaw)):
            for load in loads:
                load.await_batches(BETWEEN)
                load.begin_anew()
            fault()
            for load in loads:
                load.await_batches(3 * BETWEEN)
            stack.wait_until_drained_of(loads[0].acknowledged)
            for answers in [load.begin_anew() for load in loads]:
                assert answers.refusals == {}
                assert answers.percentile(0.95) < AT_ONCE_SECONDS, f"with Redis away by {fault.__name__}"
            repair()
    for customer, load in zip((limited, free), loads, strict=True):
        assert_stored_once(stack, customer, load)


def test_wrong_keys_are_answered_at_once_while_redis_hangs(stack: Stack) -> None:
    """Failed attempts are counted in Redis: a count that cannot be had lets the answer pass."""
    connection = http.client.HTTPConnection(*stack.address, timeout=10)
    stack.redis.freeze()
    try:
        begun = time.monotonic()
        for _ in range(10):
            connection.request("POST", "/api/auth/exchange", b'{"ApiKey": "km_live_wrong"}', _JSON)
            response = connection.getresponse()
            response.read()
            assert response.status == 401
        assert time.monotonic() - begun < 10 * AT_ONCE_SECONDS
    finally:
        stack.redis.thaw()
        connection.close()


def test_a_revoked_key_ends_in_every_process_within_seconds(stack: Stack, customers: Customers) -> None:
    customer = customers["Revoked"]
    with Load(stack.address, customer["api_key"], insist=False) as load:
        load.await_batches(BETWEEN)
        stack.manage("revoke_key", customer["key_id"], "--reason", "a test")
        eventually(lambda: load.answers.refusals.get(401, 0) > 0, within=REVOKED_SECONDS, what="the key is refused")
        time_to_spread = time.monotonic() + REVOKED_SECONDS
        eventually(lambda: time.monotonic() > time_to_spread)
        load.begin_anew()
        eventually(lambda: load.answers.refusals.get(401, 0) > 10, what="clients go on asking")
        assert load.answers.seconds == [], "a process still believes a revoked key"
    assert_stored_once(stack, customer, load)


_JSON = {"Content-Type": "application/json", "Host": "km.example.org"}


def test_a_customer_at_fifty_times_its_quota_is_refused_and_slows_nobody(stack: Stack, customers: Customers) -> None:
    noisy, quiet = customers["Noisy"], customers["Quiet"]
    with Load(stack.address, quiet["api_key"], senders=2) as good:
        good.await_batches(3 * BETWEEN)
        alone = good.begin_anew()
        with Load(stack.address, noisy["api_key"], senders=2, insist=False) as bad:
            eventually(lambda: bad.offered >= 50 * 1000, within=60, what="fifty times the quota is offered")
        beside = good.begin_anew()
    assert beside.refusals == {}
    assert beside.percentile(0.95) < max(2 * alone.percentile(0.95), AT_ONCE_SECONDS)
    assert set(bad.answers.refusals) == {429} and bad.answers.without_retry_after == 0
    assert 1000 - BATCH_EVENTS < len(bad.acknowledged) <= 1000 + 4 * BATCH_EVENTS
    assert_stored_once(stack, noisy, bad)
    assert_stored_once(stack, quiet, good)


def test_a_poison_row_is_set_aside_and_the_others_never_wait_for_it(stack: Stack, customers: Customers) -> None:
    customer = customers["Poison"]
    owner = f"(SELECT id FROM customers_customer WHERE public_id = '{customer['customer']}')"
    with Load(stack.address, customer["api_key"], senders=2) as load:
        load.await_batches(BETWEEN)
        stack.database.ask(
            "INSERT INTO events_inboxentry (customer_id, received_at, kind, encoding, events, skipped, attempts,"
            f" retry_at, error, body) VALUES ({owner}, now(), 'events', 'zstd', 0, '', 3, now(), '', 'no zstd at all')"
            " RETURNING id"
        )
        load.await_batches(BETWEEN)
    assert_stored_once(stack, customer, load)
    rows = stack.database.ask(f"SELECT error FROM events_quarantinedentry WHERE customer_id = {owner}")
    assert len(rows) == 1 and rows[0][0]


def test_a_stop_in_mid_load_keeps_what_was_acknowledged_and_leaves_no_process(
    stack: Stack, customers: Customers
) -> None:
    customer = customers["Stop"]
    with Load(stack.address, customer["api_key"]) as load:
        load.await_batches(BETWEEN)
        assert stack.stop() == 0
    stack.serve()
    assert_stored_once(stack, customer, load)
