"""Today's counts in Redis: a batch is judged by one atomic step there, and the database's totals by nobody's lock.

    counters.take((7, day), events=100, limit=100_000)   → 4_800, the day's count with them; None: over the limit

The totals in the database are what is true. A count is read from them when there is none (after a minute there is none)
and again before anybody is refused, because a count may be too high: what was counted for a request whose commit failed
is not given back. It may be too low by what was in flight while it was read, so a day may end a request of each process
over its limit, and never below it. Without Redis each process counts for itself and reads the database every few
seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import date
from typing import Any, Protocol

import redis
import structlog

from core import redis_client

REDIS_KEEPS_SECONDS = 60
LOCAL_KEEPS_SECONDS = 3.0  # what the other processes accept meanwhile is not seen
REFUSED_SECONDS = 3.0  # after the database confirmed it: somebody who goes on asking costs it nothing
MAX_KEPT = 10_000  # customers; some 2 MB

_NO_COUNT, _OVER = -2, -1
_TAKE = f"""
local used = redis.call('GET', KEYS[1])
if not used then return {_NO_COUNT} end
if tonumber(used) + tonumber(ARGV[1]) > tonumber(ARGV[2]) then return {_OVER} end
return redis.call('INCRBY', KEYS[1], ARGV[1])
"""

Key = tuple[int, date]
"""A customer, and a UTC day of receipt."""
Truth = Callable[[int, date], int]
"""How many events of a customer and day the database has accepted."""

_log = structlog.get_logger(__name__)


class Store(Protocol):
    """Where counts are kept for a while."""

    def take(self, key: Key, events: int, limit: int) -> int:
        """The count with `events` in it; -1 when that is over `limit`, -2 when there is no count."""

    def put(self, key: Key, count: int) -> None:
        """Begin anew at `count`."""


class RedisStore:
    """Counts that all processes share. Raises `redis.RedisError`."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client
        self._take = self._client.register_script(_TAKE)

    def take(self, key: Key, events: int, limit: int) -> int:
        return int(self._take(keys=[_name(key)], args=[events, limit]))

    def put(self, key: Key, count: int) -> None:
        self._client.set(_name(key), count, ex=REDIS_KEEPS_SECONDS)


class LocalStore:
    """Counts of this process, for while there is no other."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: dict[Key, tuple[int, float]] = {}

    def take(self, key: Key, events: int, limit: int) -> int:
        count, until = self._counts.get(key, (0, 0.0))
        if self._clock() >= until:
            return _NO_COUNT
        if count + events > limit:
            return _OVER
        self._counts[key] = (count + events, until)
        return count + events

    def put(self, key: Key, count: int) -> None:
        _make_room(self._counts)
        self._counts[key] = (count, self._clock() + LOCAL_KEEPS_SECONDS)


class Counters:
    """Both stores, and what the database says."""

    def __init__(self, shared: Store, truth: Truth, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._local = LocalStore(clock)
        self._truth = truth
        self._clock = clock
        self._refused: dict[Key, tuple[int, float]] = {}
        self._mutex = threading.Lock()

    def take(self, key: Key, *, events: int, limit: int) -> int | None:
        """The day's count with `events` in it; `None` when that is over `limit`. Database errors pass."""
        with self._mutex:
            count, until = self._refused.get(key, (0, 0.0))
            if self._clock() < until and count + events > limit:
                return None
            try:
                return self._take(self._shared, key, events, limit)
            except redis.RedisError as error:
                _log.debug("quotas_counted_locally", error=str(error))
                return self._take(self._local, key, events, limit)

    def _take(self, store: Store, key: Key, events: int, limit: int) -> int | None:
        count = store.take(key, events, limit)
        if count >= 0:
            return count
        known = self._truth(*key)
        if known + events > limit:
            _make_room(self._refused)
            self._refused[key] = (known, self._clock() + REFUSED_SECONDS)
            return None
        store.put(key, known + events)
        return known + events


def connect(url: str, truth: Truth) -> Counters:
    """Counters in the Redis at `url`."""
    return Counters(RedisStore(redis_client.connect(url)), truth)


def _make_room(entries: dict[Key, tuple[int, float]]) -> None:
    while len(entries) >= MAX_KEPT:
        del entries[next(iter(entries))]  # the oldest


def _name(key: Key) -> str:
    return f"km:accepted:{key[1]:%Y%m%d}:{key[0]}"
