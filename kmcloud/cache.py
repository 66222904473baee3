"""Django's Redis cache, behind the breaker of `core.redis_client`, and without Redis each process's own memory.

What is kept here are counts of wrong passwords, and which codes were used: whoever signs in must not wait for a Redis
that hangs, nor be turned away, nor may guessing be free meanwhile. So while Redis is away a process counts for itself:
of ten tries each process allows ten, and a code that was used is known where it was. Nothing is carried over, either
way: what was counted in Redis counts again when it is back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.exceptions import RedisError

from core import redis_client

MAX_ENTRIES = 100_000  # of a process: whoever fills it with names pushes out none that was guessed lately

_log = structlog.get_logger(__name__)


class _CacheClient(RedisCacheClient):
    def __init__(self, servers: Any, **options: Any) -> None:
        super().__init__(servers, **(redis_client.options() | options))
        self._client = redis_client.Client


def _or_own(name: str) -> Callable[..., Any]:
    """The method `name` of Redis's cache; of this process's while Redis does not answer."""

    def method(cache: Cache, *args: Any, **options: Any) -> Any:
        try:
            return getattr(RedisCache, name)(cache, *args, **options)
        except RedisError as error:
            _log.warning("cache_unavailable", cause=str(error), effect="this process counts for itself")
            return getattr(cache.own, name)(*args, **options)

    return method


class Cache(RedisCache):
    """Django's, with the client above, and `own` in its place while there is none."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = _CacheClient
        # By its name all threads of the process share one.
        self.own = LocMemCache("without-redis", {**params, "OPTIONS": {"MAX_ENTRIES": MAX_ENTRIES}})

    add = _or_own("add")
    get = _or_own("get")
    set = _or_own("set")
    touch = _or_own("touch")
    delete = _or_own("delete")
    get_many = _or_own("get_many")
    has_key = _or_own("has_key")
    incr = _or_own("incr")
    set_many = _or_own("set_many")
    delete_many = _or_own("delete_many")
    clear = _or_own("clear")
