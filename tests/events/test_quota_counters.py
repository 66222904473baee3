"""Counts in Redis: shared, never refusing what the database would accept, and replaced by local ones without Redis."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from core import redis_client
from core.breaker import Breaker
from customers.models import Customer
from events import quotas
from events.models import DailyUsage
from events.quota_counters import Counters, Key, RedisStore
from tests.end_to_end.production_servers import Redis
from tests.events.samples import Sender, an_event, answer_of, code_of, drain_everything, waiting

TODAY = datetime.now(UTC).date()
ACME: Key = (7, TODAY)

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="Redis is not installed"),
]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Truth:
    """The database: what it has accepted, and how often it was asked."""

    def __init__(self, accepted: int = 0) -> None:
        self.accepted = accepted
        self.asked = 0

    def __call__(self, customer_id: int, day: object) -> int:  # noqa: ARG002 - as the real one is called
        self.asked += 1
        return self.accepted


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    running = Redis(tmp_path_factory.mktemp("redis"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def shared(server: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisStore]:
    """An empty store, as one process sees it."""
    monkeypatch.setattr(redis_client, "breaker", Breaker(0.0))
    client = redis_client.connect(server.url)
    client.flushall()
    yield RedisStore(client)
    client.close()


def test_processes_share_one_count_and_the_database_is_read_once(shared: RedisStore) -> None:
    truth = Truth(40)
    one, two = Counters(shared, truth), Counters(shared, truth)
    assert one.take(ACME, events=10, limit=100) == 50
    assert two.take(ACME, events=10, limit=100) == 60
    assert truth.asked == 1


def test_of_many_at_once_exactly_the_limit_is_taken(shared: RedisStore) -> None:
    counters = [Counters(shared, Truth(0)) for _ in range(4)]
    counters[0].take(ACME, events=0, limit=100)
    taken: list[int | None] = []

    def work(mine: Counters) -> None:
        taken.extend(mine.take(ACME, events=1, limit=100) for _ in range(25))

    threads = [threading.Thread(target=work, args=(each,)) for each in counters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each for each in taken if each is not None) == list(range(1, 101))


def test_a_count_that_is_too_high_refuses_nobody(shared: RedisStore) -> None:
    """As after requests that were counted and could not be committed."""
    truth = Truth(0)
    counters = Counters(shared, truth)
    counters.take(ACME, events=100, limit=100)
    assert counters.take(ACME, events=10, limit=100) == 10
    truth.accepted = 100
    assert counters.take(ACME, events=95, limit=100) is None


def test_who_is_refused_and_goes_on_asking_costs_the_database_nothing(shared: RedisStore) -> None:
    clock, truth = Clock(), Truth(100)
    counters = Counters(shared, truth, clock=clock)
    assert [counters.take(ACME, events=1, limit=100) for _ in range(50)] == [None] * 50
    assert truth.asked == 1
    clock.now += 10
    truth.accepted = 0
    assert counters.take(ACME, events=1, limit=100) == 1


def test_without_redis_each_process_counts_for_itself(server: Redis, shared: RedisStore) -> None:
    clock, truth = Clock(), Truth(90)
    counters = Counters(shared, truth, clock=clock)
    server.kill()
    try:
        with pytest.raises(redis.RedisError):
            shared.take(ACME, 1, 100)
        assert [counters.take(ACME, events=4, limit=100) for _ in range(2)] == [94, 98]
        assert truth.asked == 1
        truth.accepted = 98
        assert counters.take(ACME, events=4, limit=100) is None
        truth.accepted = 90
        clock.now += 10
        assert counters.take(ACME, events=4, limit=100) == 94
    finally:
        server.start()


@pytest.fixture
def counted_in_redis(shared: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    counters = Counters(shared, quotas._accepted)
    monkeypatch.setattr(quotas, "_counters", lambda _: counters)
    monkeypatch.setattr(quotas, "_tally", quotas._Tally())


def test_a_day_is_counted_the_same_with_redis_as_without(
    counted_in_redis: None,
    limited: Sender,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]],
) -> None:
    monkeypatch.setattr(quotas, "TALLY_SECONDS", 0.0)

    def post(events: list[Any]) -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            return limited.post(events)

    events = [an_event() for _ in range(10)]
    assert answer_of(post(events[:8]))["accepted"] == 8
    assert code_of(post([an_event() for _ in range(3)])) == (429, "quota_exceeded")
    drain_everything()
    assert answer_of(post(events))["accepted"] == 2  # the others are stored already, and cost nothing
    assert code_of(post([an_event()])) == (429, "quota_exceeded")
    assert waiting() == 1
    drain_everything()
    row = DailyUsage.objects.get()
    assert (row.accepted, row.stored, row.duplicates, row.refused) == (10, 10, 8, 4)


def test_what_is_true_is_read_at_one_moment(
    counted_in_redis: None, acme: Customer, sender: Sender, django_assert_num_queries: Callable[..., Any]
) -> None:
    """Between two statements a drain may end: what it moved from one place to the other would be in neither."""
    for count in (5, 3):
        sender.post([an_event() for _ in range(count)])
        if count == 5:
            drain_everything()
    with django_assert_num_queries(1):
        assert quotas._accepted(acme.pk, TODAY) == 8
    assert quotas._accepted(acme.pk + 1, TODAY) == 0


def test_no_limit_asks_nobody(counted_in_redis: None, acme: Customer, sender: Sender, server: Redis) -> None:
    server.kill()
    try:
        assert answer_of(sender.post([an_event()]))["accepted"] == 1
    finally:
        server.start()
