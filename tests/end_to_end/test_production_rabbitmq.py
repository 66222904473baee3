"""`kill -9` of RabbitMQ under load, where it is the event log: sent is stored, once, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.production_checks import assert_only_503, assert_stored_once
from tests.end_to_end.production_load import Load
from tests.end_to_end.production_servers import are_installed
from tests.end_to_end.production_stack import Stack
from tests.end_to_end.waiting import eventually
from tests.events.rabbits import Node, programs, rabbitmq

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(not are_installed() or programs() is None, reason="PostgreSQL, Redis or RabbitMQ is missing"),
    pytest.mark.xdist_group("production"),
]

BETWEEN = 20  # batches acknowledged between one fault and the next


@dataclass(frozen=True)
class World:
    """A service, and the RabbitMQ that is its log."""

    stack: Stack
    node: Node


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, own_home: Path) -> Iterator[World]:
    """What all tests of this file break and mend."""
    with ExitStack() as running:
        node = running.enter_context(rabbitmq())
        directory = tmp_path_factory.mktemp("rabbitmq")
        stack = running.enter_context(
            Stack(directory, migrated=True, KM_EVENT_LOG="rabbitmq", KM_EVENT_LOG_URL=node.url)
        )
        yield World(stack, node)


def test_kill_9_of_rabbitmq_in_mid_load_loses_nothing(world: World) -> None:
    customer = world.stack.customer()
    with Load(world.stack.address, customer["api_key"]) as load:
        load.await_batches(BETWEEN)
        load.begin_anew()
        world.node.kill()
        eventually(lambda: load.answers.refusals.get(503, 0) > 10, what="it is refused")
        assert_only_503(load)
        world.node.start()
        load.await_batches(BETWEEN)
    world.stack.wait_until_drained_of(load.acknowledged)
    assert_stored_once(world.stack, load, customer)


def test_kill_9_of_rabbitmq_and_the_worker_at_once_loses_nothing(world: World) -> None:
    customer = world.stack.customer()
    with Load(world.stack.address, customer["api_key"]) as load:
        load.await_batches(BETWEEN)
        world.node.kill()
        world.stack.kill_9("ingest")
        world.node.start()
        load.await_batches(BETWEEN)
        world.stack.kill_9("ingest")
        load.await_batches(BETWEEN)
    world.stack.wait_until_drained_of(load.acknowledged)
    assert_stored_once(world.stack, load, customer)
