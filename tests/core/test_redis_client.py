"""A Redis that does not answer costs one caller a tenth of a second, and the others nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
import redis

from core import redis_client
from core.breaker import Breaker

NOBODY_LISTENS = "redis://127.0.0.1:1/0"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def own_breaker(monkeypatch: pytest.MonkeyPatch) -> Breaker:
    """Not the one that other tests of this process have opened."""
    breaker = Breaker()
    monkeypatch.setattr(redis_client, "breaker", breaker)
    return breaker


@pytest.fixture
def deaf() -> Iterator[str]:
    """The address of somebody who accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def test_after_a_failure_nobody_asks_until_the_pause_is_over_and_then_one_does() -> None:
    clock = Clock()
    breaker = Breaker(5.0, clock=clock)
    assert breaker.allows()
    breaker.failed()
    assert not breaker.allows()
    clock.now += 5.0
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    clock.now += 5.0
    assert breaker.allows()
    breaker.worked()
    assert [breaker.allows() for _ in range(3)] == [True, True, True]


@pytest.mark.parametrize("kind", ["down", "deaf"])
def test_the_first_caller_waits_a_moment_and_the_next_not_at_all(kind: str, deaf: str) -> None:
    client = redis_client.connect(deaf if kind == "deaf" else NOBODY_LISTENS)
    begun = time.monotonic()
    with pytest.raises(redis.RedisError):
        client.get("key")
    assert time.monotonic() - begun < 10 * redis_client.TIMEOUT_SECONDS  # without the breaker's options it is seconds
    begun = time.monotonic()
    for _ in range(100):
        with pytest.raises(redis.ConnectionError, match="a moment ago"):
            client.get("key")
    assert time.monotonic() - begun < redis_client.TIMEOUT_SECONDS * 5
