"""Django's Redis cache behind the breaker of `core.redis_client`: a Redis that hangs makes nobody wait.

Its errors are redis-py's still: whoever uses the cache decides what to do without it.
"""

from __future__ import annotations

from typing import Any

from django.core.cache.backends.redis import RedisCache, RedisCacheClient

from core import redis_client


class _CacheClient(RedisCacheClient):
    def __init__(self, servers: Any, **options: Any) -> None:
        super().__init__(servers, **(redis_client.options() | options))
        self._client = redis_client.Client


class Cache(RedisCache):
    """Django's, with the client above."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = _CacheClient
