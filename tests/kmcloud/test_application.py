"""A Redis that hangs costs whoever sends a wake-up less than a second, once, and then nothing until it goes on."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu.exceptions import OperationalError

from core.breaker import Breaker
from events import wakeup as events_wakeup
from kmcloud.application import Application
from kmcloud.celery import app as the_service
from plugins_registry import wakeup
from plugins_registry.building import wakeup as building
from plugins_registry.repositories import wakeup as repositories
from tests.end_to_end.production_servers import Redis
from tests.end_to_end.waiting import eventually

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="Redis is not installed"),
]

ONCE_SECONDS = 1.0
AT_ONCE_SECONDS = 0.1
PAUSE_SECONDS = 1.0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis to freeze."""
    running = Redis(tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def app(redis: Redis) -> Iterator[Application]:
    """An application whose broker it is; the current one of this thread."""
    made = Application("test", broker=redis.url, set_as_current=False)
    made.conf.broker_transport_options = {"socket_connect_timeout": 1.0, "socket_timeout": 3.0, "max_retries": 1}
    made.breaker = Breaker(PAUSE_SECONDS)
    made.set_current()
    yield made
    the_service.set_current()
    made.close()


def seconds_to_send(app: Application) -> float:
    begun = time.monotonic()
    with pytest.raises(OperationalError):
        app.send_task("registry.publish", queue="signing", retry=False, ignore_result=True)
    return time.monotonic() - begun


@pytest.mark.parametrize("used_before", [True, False])
def test_a_redis_that_hangs_costs_one_sender_a_second_and_the_next_nothing(
    app: Application, redis: Redis, used_before: bool
) -> None:
    if used_before:
        app.send_task("registry.publish", queue="signing", retry=False, ignore_result=True)
    redis.freeze()
    try:
        assert seconds_to_send(app) < ONCE_SECONDS
        assert seconds_to_send(app) < AT_ONCE_SECONDS
    finally:
        redis.thaw()
    eventually(lambda: can_send(app), within=10, what="messages are sent again")


def can_send(app: Application) -> bool:
    try:
        app.send_task("registry.publish", queue="signing", retry=False, ignore_result=True)
    except OperationalError:
        return False
    return True


def test_no_wake_up_of_the_registry_fails_or_holds_up_its_request(app: Application, redis: Redis) -> None:
    redis.freeze()
    try:
        begun = time.monotonic()
        wakeup.send(wakeup.SCAN, 1)
        assert time.monotonic() - begun < ONCE_SECONDS
        begun = time.monotonic()
        wakeup.send(wakeup.NOTIFY, 1)
        building._send(building.BUILD, 1)
        repositories._ring()
        assert time.monotonic() - begun < AT_ONCE_SECONDS
    finally:
        redis.thaw()


def test_the_bell_of_the_inbox_is_heard_again_when_redis_goes_on(app: Application, redis: Redis) -> None:
    redis.freeze()
    begun = time.monotonic()
    try:
        with pytest.raises(OperationalError):
            events_wakeup.send_drain()
        assert time.monotonic() - begun < ONCE_SECONDS + AT_ONCE_SECONDS
    finally:
        redis.thaw()
    events_wakeup.send_drain()


def test_a_worker_waits_for_messages_with_the_patience_of_the_settings(app: Application) -> None:
    reads, sends = app.connection_for_read().transport_options, app.connection_for_write().transport_options
    assert reads is not None and reads["socket_timeout"] == 3.0
    assert sends is not None and sends["socket_timeout"] < 1.0
