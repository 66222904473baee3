"""Feeding, against a plugin that answers with what no program built on the contract would."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from km_client.plugins.errors import CrashError
from km_client.plugins.event_queue import EventQueue
from km_client.plugins.feeding import Delivery, Feeder
from km_client.plugins.logs import PluginLog
from km_client.plugins.session import Session
from km_client.plugins.settings import Deadlines
from km_plugin_sdk.wire import plugin_pb2


class Link:
    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    async def call(self, _path: str, _request: bytes) -> bytes:
        return self.answer


def fed(answer: bytes, tmp_path: Path) -> tuple[EventQueue, Delivery]:
    """Three events, to a plugin that answers `answer`."""

    async def event_link(_seconds: float) -> Any:
        return Link(answer)

    session = SimpleNamespace(deadlines=Deadlines(), connection=SimpleNamespace(event_link=event_link))
    queue, delivery = EventQueue(lambda: None), Delivery()
    queue.offer([b"1", b"2", b"3"])

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
        fed(b"\xff\xff\xff", tmp_path)
    assert caught.value.code == "bad_answer"


def test_a_plugin_cannot_claim_more_failures_than_it_had_events(tmp_path: Path) -> None:
    answer = plugin_pb2.HandleStreamEventsResponse(failed=2_000_000, error="all of them").SerializeToString()
    queue, delivery = fed(answer, tmp_path)
    assert (delivery.handled, delivery.failed, queue.dropped()) == (0, 3, {})
