"""`monitor --url URL`: an MCP client that only speaks stdio, and a server that only speaks HTTP.

    client ──a line──▶ POST ──▶ server            a request does not wait for the one before; a notification does
           ◀─a line─── JSON, or events of a stream, of the POST or of the server's own

How it ends: stdin ends (requests in flight have two seconds), nobody reads stdout, or a signal: then the session is
ended with DELETE, and the exit code is 0, or 128 and the signal. When a stream of 2024-11-05 ends, the session is over,
and the exit code is 1.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from km_client.proxy.http import json_rpc
from km_client.proxy.http.desk import Desk, Failure
from km_client.proxy.http.dialling import Dialler
from km_client.proxy.http.http_client import HttpClient
from km_client.proxy.http.json_rpc import PARSE_ERROR, Message
from km_client.proxy.http.legacy_sse import LegacySse
from km_client.proxy.http.refused import BROKEN
from km_client.proxy.http.session import Options, Recordings
from km_client.proxy.http.stdio import MAX_LINE_BYTES, Lines, Output
from km_client.proxy.http.streamable import OtherTransportError, Streamable

GRACE_SECONDS = 2.0  # what a stdio server has between the end of its stdin and TERM
DELETE_SECONDS = 2.0
WRITE_SECONDS = 2.0
IN_ORDER_SECONDS = 30.0  # a notification that the server does not take holds up the next message for no longer
SERVER_ENDED = 1


async def bridge(options: Options, recordings: Recordings) -> int:
    """Carry messages until either side is done. Returns the exit code."""
    output = Output()
    dialler = Dialler(options.target)
    client = HttpClient(dialler, options.headers)
    run = recordings.runs.begin(b"stdio")
    desk = Desk(run, output, options.say, options.target.hide, recordings.judge())
    carrier = _Carrier(options, client, desk)
    try:
        return await carrier.run(Lines(), output)
    finally:
        await carrier.close()
        await output.finish(WRITE_SECONDS)
        client.close()


class _Carrier:
    def __init__(self, options: Options, client: HttpClient, desk: Desk) -> None:
        self._options = options
        self._client = client
        self._desk = desk
        self._streamable = Streamable(client, options.target.path, desk, may_be_other=options.transport == "auto")
        self._legacy: LegacySse | None = None
        self._in_flight: dict[str, tuple[Message, int, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.get_running_loop().create_future()

    async def run(self, lines: Lines, output: Output) -> int:
        if self._options.transport == "sse":
            await self._connect_legacy(None)
        reading = asyncio.create_task(self._read(lines))
        broken = asyncio.create_task(output.is_broken.wait())
        await asyncio.wait([reading, broken, self._over], return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            reading.result()
            if self._tasks and not self._over.done():
                await asyncio.wait([*self._tasks, self._over], timeout=GRACE_SECONDS)
        reading.cancel()
        broken.cancel()
        return self._over.result() if self._over.done() else 0

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(DELETE_SECONDS):
                await (self._legacy or self._streamable).close()

    async def _read(self, lines: Lines) -> None:
        while (line := await lines.next()) is not None:
            content = bytes(line).strip(b" \t\r")
            if not content:
                continue
            message = json_rpc.parse(content)
            if message is None or line.is_cut:
                unread = Message(content, ids=("null",))
                self._desk.record_request(unread, 0)
                text = f"this line is no JSON-RPC message of at most {MAX_LINE_BYTES} bytes"
                await self._desk.fail(unread, 0, Failure(text, PARSE_ERROR))
            elif not self._cancelled_by_closing(message) and (passed := await self._desk.judged(message)):
                await self._start(passed, lines)

    def _cancelled_by_closing(self, message: Message) -> bool:
        """In 2026-07-28 a cancellation is no message over HTTP: the stream of the request is closed instead."""
        if message.method != "notifications/cancelled" or self._legacy:
            return False
        found = self._in_flight.get(json_rpc.key(message.params.get("requestId")))
        if not self._streamable.cancels_by_closing(found[0] if found else None):
            return False
        if found:
            asked, exchange, task = found
            self._desk.record_request(message, exchange)
            self._desk.cancel(asked, exchange)
            task.cancel()
        return True

    async def _start(self, message: Message, lines: Lines) -> None:
        """Begin to send it, and wait as long as the next one has to: there may be none."""
        exchange = next(self._desk.exchanges)
        self._desk.record_request(message, exchange)
        task = asyncio.create_task(self._send(message, exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        for identifier in message.ids:
            self._in_flight[identifier] = (message, exchange, task)
            task.add_done_callback(lambda done, identifier=identifier: self._forget(identifier, done))  # type: ignore[misc]
        ends = [asyncio.create_task(lines.are_over.wait())]
        if not message.ids:
            await asyncio.wait([task, *ends], timeout=IN_ORDER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        elif not self._legacy and not self._streamable.settled.is_set():
            ends.append(asyncio.create_task(self._streamable.settled.wait()))
            await asyncio.wait([task, *ends], return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()

    def _forget(self, identifier: str, task: asyncio.Task[None]) -> None:
        if self._in_flight.get(identifier, (None, 0, None))[2] is task:
            del self._in_flight[identifier]

    async def _send(self, message: Message, exchange: int) -> None:
        try:
            await (self._legacy or self._streamable).send(message, exchange)
        except OtherTransportError as error:
            await self._connect_legacy((message, exchange, error.failure))
            if self._legacy:
                await self._legacy.send(message, exchange)
        except Exception as error:
            await self._desk.fail(message, exchange, Failure(f"km-client failed: {error!r}"))
            raise

    async def _connect_legacy(self, instead: tuple[Message, int, Failure] | None) -> None:
        """Try the transport of 2024-11-05; if there is none, `instead` fails as it did."""
        legacy = LegacySse(self._client, self._options.target.path, self._options.target.origin, self._desk)
        try:
            await legacy.connect()
        except BROKEN as error:
            self._options.debug(f"no server of 2024-11-05 either: {error}")
            if instead:
                await self._desk.fail(*instead)
            else:
                self._end(str(error))
            return
        self._legacy = legacy
        legacy.ended.add_done_callback(self._legacy_ended)

    def _legacy_ended(self, ended: asyncio.Future[str]) -> None:
        if not ended.cancelled():
            self._end(ended.result())

    def _end(self, why: str) -> None:
        """The session cannot go on: end as a stdio server that died, which clients know how to start again."""
        if not self._over.done():
            self._options.say(f"{self._options.target.shown}: {why}")
            self._over.set_result(SERVER_ENDED)
