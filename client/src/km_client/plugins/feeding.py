"""Events from a plugin's queue to the plugin: in order, in batches, each call with a deadline.

A plugin without the batch call (it answers UNIMPLEMENTED) gets one call for each event. What happens to each event is
counted: handled, failed (the plugin said so), or dropped with a reason. Nothing is sent twice: an event that was under
way when a plugin crashed may be what crashed it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from km_plugin_sdk.wire import plugin_pb2

from km_client.plugins.connection import DISCONNECTED, BadAnswerError
from km_client.plugins.errors import CrashError
from km_client.plugins.event_queue import EventQueue
from km_client.plugins.logs import PluginLog
from km_client.plugins.session import Session
from km_client.plugins.settings import HUNG_AFTER_DEADLINES

Batch = list[plugin_pb2.StreamEvent]


@dataclass(slots=True)
class Delivery:
    """Over all runs of one plugin."""

    handled: int = 0
    failed: int = 0


class Feeder:
    """Feeds one session until it is told to end, is cancelled, or the plugin is lost.

    `arrived` is set when the queue is no longer empty.
    """

    def __init__(
        self, session: Session, queue: EventQueue, arrived: asyncio.Event, delivery: Delivery, log: PluginLog
    ) -> None:
        self._session, self._queue, self._delivery, self._log = session, queue, delivery, log
        self._arrived = arrived
        self._ending = asyncio.Event()
        self._timeout = session.deadlines.call
        self._takes_batches = True
        self._late_in_a_row = 0

    async def run(self) -> None:
        """Raises `CrashError`. Returns after `end`, between two batches."""
        while not self._ending.is_set():
            self._arrived.clear()
            while not self._ending.is_set() and (batch := self._queue.take()):
                try:
                    await self._deliver(batch)
                finally:
                    self._queue.settled()
            if not self._ending.is_set():
                await self._arrived.wait()

    def end(self) -> None:
        """Finish the batch under way and take no other: the events that wait are the next session's."""
        self._ending.set()
        self._arrived.set()

    async def _deliver(self, batch: Batch) -> None:
        if self._takes_batches and await self._batch_call(batch):
            return
        for position, event in enumerate(batch):
            try:
                await self._call([event])
            except CrashError:
                self._queue.drop(len(batch) - position - 1, "crash")
                raise

    async def _batch_call(self, batch: Batch) -> bool:
        """Whether the plugin takes batches."""
        try:
            await self._call(batch)
        except NotImplementedError:
            self._takes_batches = False
            self._log.note("has no batch call; events are sent one by one")
        return self._takes_batches

    async def _call(self, batch: Batch) -> None:
        try:
            await (self._send_batch(batch) if self._takes_batches else self._send_one(batch[0]))
            self._late_in_a_row = 0
        except TimeoutError:
            await self._late(batch)
        except BadAnswerError as error:
            self._queue.drop(len(batch), "crash")
            raise CrashError("bad_answer", str(error.message), "build it with our contract, sdk/proto") from None
        except GRPCError as error:
            if error.status is Status.UNIMPLEMENTED and self._takes_batches:
                raise NotImplementedError from None
            await self._refused(batch, error)
        except DISCONNECTED:
            self._queue.drop(len(batch), "crash")
            raise await self._session.lost("the plugin closed its connection") from None
        except asyncio.CancelledError:
            self._queue.drop(len(batch), "not_running")
            raise

    async def _send_batch(self, batch: Batch) -> None:
        request = plugin_pb2.HandleStreamEventsRequest(events=batch)
        connection = self._session.connection
        answer = await connection.call(connection.plugin.HandleStreamEvents, request, self._timeout)
        self._count(len(batch), min(answer.failed, len(batch)), answer.error)

    async def _send_one(self, event: plugin_pb2.StreamEvent) -> None:
        request = plugin_pb2.HandleStreamEventRequest(event=event)
        connection = self._session.connection
        answer = await connection.call(connection.plugin.HandleStreamEvent, request, self._timeout)
        self._count(1, 0 if answer.success else 1, answer.error)

    def _count(self, events: int, failed: int, error: str) -> None:
        self._delivery.handled += events - failed
        self._delivery.failed += failed
        if failed:
            self._log.note_limited(f"{failed} of {events} events failed: {error}")

    async def _late(self, batch: Batch) -> None:
        self._queue.drop(len(batch), "deadline")
        self._late_in_a_row += 1
        self._log.note_limited(f"{len(batch)} events were not handled within {self._timeout:g} s")
        if self._late_in_a_row >= HUNG_AFTER_DEADLINES:
            message = f"the plugin did not answer {self._late_in_a_row} calls in a row"
            raise CrashError("hung", message, "a handler hangs, or the process is stopped")

    async def _refused(self, batch: Batch, error: GRPCError) -> None:
        if error.status in {Status.UNAVAILABLE, Status.CANCELLED} and self._session.process.exited.done():
            self._queue.drop(len(batch), "crash")
            raise await self._session.lost("the plugin ended")
        self._count(len(batch), len(batch), error.message or error.status.name)
