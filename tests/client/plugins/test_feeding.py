"""Feeding, against a plugin that answers with what no program built on the contract would."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from km_client.plugins.connection import BadAnswerError
from km_client.plugins.errors import CrashError
from km_client.plugins.event_queue import EventQueue
from km_client.plugins.feeding import Delivery, Feeder
from km_client.plugins.logs import PluginLog
from km_client.plugins.session import Session
from km_client.plugins.settings import Deadlines
from km_plugin_sdk.wire import plugin_pb2

Answer = plugin_pb2.HandleStreamEventsResponse | BadAnswerError


class Connection:
    """Gives every call the same answer."""

    plugin = SimpleNamespace(HandleStreamEvents=None, HandleStreamEvent=None)

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def call(self, _method: object, _request: object, _seconds: float) -> Any:
        if isinstance(self._answer, BadAnswerError):
            raise self._answer
        return self._answer


def fed(answer: Answer, tmp_path: Path) -> tuple[EventQueue, Delivery]:
    """Three events, to a plugin that answers `answer`."""
    session = SimpleNamespace(deadlines=Deadlines(), connection=Connection(answer))
    queue, delivery = EventQueue(lambda: None), Delivery()
    queue.offer([(plugin_pb2.StreamEvent(id=str(number)), 3) for number in range(3)])

    async def run() -> None:
        log = PluginLog(tmp_path / "log", lambda: 0.0)
        feeder = Feeder(cast("Session", session), queue, asyncio.Event(), delivery, log)
        task = asyncio.ensure_future(feeder.run())
        while not queue.is_idle and not task.done():
            await asyncio.sleep(0)
        feeder.end()
        await task

    asyncio.run(run())
    return queue, delivery


def test_an_answer_that_makes_no_sense_is_a_crash(tmp_path: Path) -> None:
    with pytest.raises(CrashError) as caught:
        fed(BadAnswerError("makes no sense"), tmp_path)
    assert (caught.value.code, str(caught.value)) == ("bad_answer", "its answer makes no sense")


def test_a_plugin_cannot_claim_more_failures_than_it_had_events(tmp_path: Path) -> None:
    answer = plugin_pb2.HandleStreamEventsResponse(failed=2_000_000, error="all of them")
    queue, delivery = fed(answer, tmp_path)
    assert (delivery.handled, delivery.failed, queue.dropped()) == (0, 3, {})
