"""`kill -9` and worse of every part of a production service under load: sent is stored, once, and nothing is lost.

One running stack for the tests of all these files; each sends as customers of its own, so their order does not matter.
What befalls the database alone is in test_production_database.py, wrong clocks in test_production_clocks.py.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from tests.end_to_end.production_checks import assert_stored_and_counted_once, assert_stored_once
from tests.end_to_end.production_load import BATCH_EVENTS, SENDERS, Load, batches
from tests.end_to_end.production_stack import Stack
from tests.end_to_end.waiting import eventually

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("production")]

BETWEEN = 20  # batches acknowledged between one fault and the next
DOWN_SECONDS = 3.0
REVOKED_SECONDS = 5.0  # a process asks Redis once a second, on a machine that runs other tests beside this one
AT_ONCE_SECONDS = 0.5  # what a request may take on a busy machine and still not have waited for anybody
FREE_A_DAY, NOISY_BATCH, OTHERS = 1000, 200, 99


def test_kill_9_of_every_process_in_mid_load_loses_nothing(production: Stack) -> None:
    customer = production.customer()
    with Load(production.address, customer["api_key"]) as load:
        for victim in ("web's process", "ingest", "beat", "builds", "web", "maintenance", "signing"):
            load.await_batches(BETWEEN)
            production.kill_9(victim)
        load.await_batches(BETWEEN)
        eventually(
            lambda: all(production.program(name) for name in ("web", "ingest", "beat", "builds")), what="all run"
        )
    assert_stored_once(production, load, customer)


def test_kill_9_of_redis_and_of_postgresql_in_mid_load_loses_nothing(production: Stack) -> None:
    customer = production.customer()
    with Load(production.address, customer["api_key"]) as load:
        load.await_batches(BETWEEN)
        production.redis.kill()
        load.await_batches(BETWEEN)
        production.redis.start()
        production.database.kill()
        production.database.start()
        load.await_batches(BETWEEN)
    assert_stored_once(production, load, customer)


@pytest.mark.parametrize("pair", [("web", "postgresql"), ("ingest", "redis"), ("web's process", "ingest")])
def test_kill_9_of_two_at_once_loses_nothing(production: Stack, pair: tuple[str, str]) -> None:
    customer = production.customer()
    with Load(production.address, customer["api_key"]) as load:
        load.await_batches(BETWEEN)
        production.kill_9(pair[0])
        if pair[1] == "postgresql":
            production.database.kill()
            production.database.start()
        elif pair[1] == "redis":
            production.redis.kill()
            production.redis.start()
        else:
            production.kill_9(pair[1])
        load.await_batches(BETWEEN)
    assert_stored_once(production, load, customer)


def test_while_postgresql_is_down_every_answer_is_503_with_retry_after_and_nothing_is_lost(production: Stack) -> None:
    customer = production.customer()
    with Load(production.address, customer["api_key"]) as load:
        load.await_batches(BETWEEN)
        production.database.kill()
        load.begin_anew()
        begun = time.monotonic()
        eventually(lambda: time.monotonic() - begun > DOWN_SECONDS and load.answers.refusals.get(503, 0) > 10)
        down = load.begin_anew()
        production.database.start()
        load.await_batches(BETWEEN)
    assert (set(down.refusals), down.seconds, down.without_retry_after) == ({503}, [], 0)
    assert_stored_once(production, load, customer)


def test_a_redis_that_is_gone_or_hangs_delays_no_request_and_no_event(production: Stack) -> None:
    limited, free = production.customer("pro"), production.customer()
    with ExitStack() as running:
        loads = [
            running.enter_context(Load(production.address, each["api_key"], senders=2)) for each in (limited, free)
        ]
        for fault, repair in (
            (production.redis.kill, production.redis.start),
            (production.redis.freeze, production.redis.thaw),
        ):
            for load in loads:
                load.await_batches(BETWEEN)
                load.begin_anew()
            fault()
            for load in loads:
                load.await_batches(3 * BETWEEN)
            production.wait_until_drained_of(loads[0].acknowledged)
            for answers in [load.begin_anew() for load in loads]:
                assert answers.refusals == {}
                assert answers.percentile(0.95) < AT_ONCE_SECONDS, f"with Redis away by {fault.__name__}"
            repair()
    for customer, load in zip((limited, free), loads, strict=True):
        assert_stored_once(production, load, customer)


def test_wrong_keys_are_answered_at_once_while_redis_hangs(production: Stack) -> None:
    """Failed attempts are counted in Redis: a count that cannot be had lets the answer pass."""
    connection = http.client.HTTPConnection(*production.address, timeout=10)
    production.redis.freeze()
    try:
        begun = time.monotonic()
        for _ in range(10):
            connection.request("POST", "/api/auth/exchange", b'{"ApiKey": "km_live_wrong"}', _JSON)
            response = connection.getresponse()
            response.read()
            assert response.status == 401
        assert time.monotonic() - begun < 10 * AT_ONCE_SECONDS
    finally:
        production.redis.thaw()
        connection.close()


def test_a_revoked_key_ends_in_every_process_within_seconds(production: Stack) -> None:
    customer = production.customer()
    with Load(production.address, customer["api_key"], insist=False) as load:
        load.await_batches(BETWEEN)
        production.manage("revoke_key", customer["key_id"], "--reason", "a test")
        eventually(lambda: load.answers.refusals.get(401, 0) > 0, within=REVOKED_SECONDS, what="the key is refused")
        time_to_spread = time.monotonic() + REVOKED_SECONDS
        eventually(lambda: time.monotonic() > time_to_spread)
        load.begin_anew()
        eventually(lambda: load.answers.refusals.get(401, 0) > 10, what="clients go on asking")
        assert load.answers.seconds == [], "a process still believes a revoked key"
    assert_stored_once(production, load, customer)


_JSON = {"Content-Type": "application/json", "Host": "km.example.org"}


def test_a_customer_at_fifty_times_its_quota_is_refused_and_slows_none_of_99_others(production: Stack) -> None:
    noisy, others = production.customer("free"), [production.customer() for _ in range(OTHERS)]
    keys = [customer["api_key"] for customer in others]
    with Load(production.address, *keys, batch_events=10) as good:
        good.await_batches(2 * OTHERS)
        alone = good.begin_anew()
        with Load(production.address, noisy["api_key"], insist=False, senders=2, batch_events=NOISY_BATCH) as bad:
            eventually(lambda: bad.offered >= 50 * FREE_A_DAY, within=60, what="fifty times the quota is offered")
            good.await_batches(2 * OTHERS)
        beside = good.begin_anew()
    assert beside.refusals == {}
    assert beside.percentile(0.99) < max(2 * alone.percentile(0.99), AT_ONCE_SECONDS)
    assert set(bad.answers.refusals) == {429} and bad.answers.without_retry_after == 0
    assert FREE_A_DAY - NOISY_BATCH < len(bad.acknowledged) <= FREE_A_DAY + 2 * NOISY_BATCH
    assert_stored_once(production, bad, noisy)
    assert_stored_once(production, good, *others)


def test_batches_sent_by_several_at_once_and_out_of_order_are_stored_once(production: Stack) -> None:
    customer = production.customer()
    sent = list(itertools.islice(batches("again", BATCH_EVENTS), BETWEEN))
    headers = {"Authorization": f"Bearer {customer['api_key']}", "Content-Encoding": "zstd"}

    def unless_busy(connection: http.client.HTTPConnection, body: bytes) -> tuple[int, dict[str, Any]] | None:
        """The answer, but for 503: nothing was stored, so it is sent again."""
        connection.request("POST", "/api/events", body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        return None if response.status == 503 else (response.status, answer)

    def send_all(seed: int) -> None:
        connection = http.client.HTTPConnection(*production.address, timeout=20)
        for body, _ in random.Random(seed).sample(sent, len(sent)):
            status, answer = eventually(partial(unless_busy, connection, body), what="a batch is answered")
            assert (status, answer.get("rejected")) == (200, []), answer
        connection.close()

    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(send_all, range(SENDERS)))
    everything = set().union(*(ids for _, ids in sent))
    assert assert_stored_and_counted_once(production, everything, customer) == everything


def test_a_poison_row_is_set_aside_and_the_others_never_wait_for_it(production: Stack) -> None:
    customer = production.customer()
    owner = f"(SELECT id FROM customers_customer WHERE public_id = '{customer['customer']}')"
    with Load(production.address, customer["api_key"], senders=2) as load:
        load.await_batches(BETWEEN)
        production.database.ask(
            "INSERT INTO events_inboxentry (customer_id, received_at, kind, encoding, events, skipped, attempts,"
            f" retry_at, error, body) VALUES ({owner}, now(), 'events', 'zstd', 0, '', 3, now(), '', 'no zstd at all')"
            " RETURNING id"
        )
        load.await_batches(BETWEEN)
    assert_stored_once(production, load, customer)
    rows = production.database.ask(f"SELECT error FROM events_quarantinedentry WHERE customer_id = {owner}")
    assert len(rows) == 1 and rows[0][0]
