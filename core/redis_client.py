"""Redis, asked quickly or not at all: what it holds here is worth less than the time a request has.

    client = connect("redis://cache.internal:6379/0")
    client.incr("…")       # raises redis.RedisError after a tenth of a second at most, and for some seconds after that
                           # at once, without asking: one that is down or hangs is a branch, not a wait

All clients of a process share one `Breaker`: they talk to one server. Whoever uses a client has something to do without
it: each process counts for itself (`kmcloud.cache`, `events.quotas`).
"""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.breaker import Breaker

TIMEOUT_SECONDS = 0.1  # a hundred times what an answer takes on a local network


breaker = Breaker()


class Client(redis.Redis):
    """redis-py's, behind the breaker. `Error` is what its methods raise."""

    Error = redis.RedisError

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """As redis-py's; raises `redis.ConnectionError` at once while Redis is known not to answer."""
        if not breaker.allows():
            raise redis.ConnectionError("Redis did not answer a moment ago; it is asked again soon")
        try:
            answer = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except (redis.ConnectionError, redis.TimeoutError):
            breaker.failed()
            raise
        breaker.worked()
        return answer


def options() -> dict[str, Any]:
    """How connections are made: quickly, and once. (Left alone, redis-py tries four times, for seconds.)"""
    return {
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "socket_timeout": TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }


def connect(url: str) -> Client:
    """A client of the Redis at `url`, for all threads of this process; connects when it is first used."""
    pool = redis.ConnectionPool.from_url(url, **options())
    return Client(connection_pool=pool)
