"""HTTP with SSE, the transport of 2024-11-05: one event stream from the server, and a place to post to, which it names.

GET /sse     ◀── event: endpoint          what is posted to `data` is answered on this stream
                 data: /messages?session_id=…
"""

from __future__ import annotations

import asyncio

from km_client.proxy.http.copies import Room
from km_client.proxy.http.desk import Desk, Failure
from km_client.proxy.http.dialling import DialError
from km_client.proxy.http.http_client import Answer, AnswerError, HttpClient
from km_client.proxy.http.json_rpc import Message
from km_client.proxy.http.looks import EVENT_STREAM
from km_client.proxy.http.refused import BROKEN, ERROR_BYTES
from km_client.proxy.http.sse import Decoder
from km_client.proxy.http.streamable import MAX_MESSAGE_BYTES, ROOM_BYTES
from km_client.proxy.http.target import path_on

ENDPOINT_SECONDS = 15.0


class LegacySse:
    """One client's conversation. `ended` is done when the stream is over: then so is the session."""

    def __init__(self, client: HttpClient, path: str, origin: str, desk: Desk) -> None:
        self._client = client
        self._path = path
        self._origin = origin
        self._desk = desk
        self._room = Room(ROOM_BYTES)
        loop = asyncio.get_running_loop()
        self._endpoint: asyncio.Future[str] = loop.create_future()
        self.ended: asyncio.Future[str] = loop.create_future()
        self._reading: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Open the stream and learn where to post. Raises `AnswerError` or `DialError` if there is no such server."""
        self._reading = asyncio.create_task(self._read())
        try:
            async with asyncio.timeout(ENDPOINT_SECONDS):
                await asyncio.wait([self._endpoint, self.ended], return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            await self.close()
            raise AnswerError(f"the event stream named no endpoint within {ENDPOINT_SECONDS:g} s") from None
        if not self._endpoint.done():
            raise AnswerError(self.ended.result())

    async def send(self, message: Message, exchange: int) -> None:
        """Post one message; what answers it comes on the stream."""
        headers = [(b"Content-Type", b"application/json"), (b"Accept", b"application/json, text/event-stream")]
        if self._desk.version:
            headers.append((b"MCP-Protocol-Version", self._desk.version.encode()))
        try:
            path = self._endpoint.result()
            async with self._client.exchange("POST", path, headers, message.content) as answer:
                body = await answer.read(ERROR_BYTES)
        except BROKEN as error:
            hint = f"; {error.hint}" if isinstance(error, DialError) else ""
            await self._desk.fail(message, exchange, Failure(f"{error}{hint}"))
            return
        if answer.status >= 300:
            facts: dict[str, object] = {"status": answer.status, "body": body.decode(errors="replace")[:2048]}
            await self._desk.fail(message, exchange, Failure(f"the server answered with {answer.status}", facts=facts))

    async def close(self) -> None:
        self.ended.cancel()
        if self._reading:
            self._reading.cancel()

    async def _read(self) -> None:
        why = "the server closed the event stream"
        try:
            headers = [(b"Accept", EVENT_STREAM), (b"Cache-Control", b"no-store")]
            async with self._client.exchange("GET", self._path, headers) as answer:
                if answer.status != 200 or answer.media_type != EVENT_STREAM:
                    why = f"a GET was answered with {answer.status}, not with an event stream"
                else:
                    await self._events(answer)
        except BROKEN as error:
            why = f"the event stream broke off: {error}"
        finally:
            if not self.ended.done():
                self.ended.set_result(why)

    async def _events(self, answer: Answer) -> None:
        decoder = Decoder(self._room, MAX_MESSAGE_BYTES)
        exchange = next(self._desk.exchanges)
        async for data in answer.pieces():
            for event in decoder.feed(data):
                if event.name == b"endpoint" and not self._endpoint.done():
                    self._endpoint.set_result(self._place(event.data.decode(errors="replace").strip()))
                elif event.size > len(event.data):
                    raise AnswerError(f"a message is longer than {MAX_MESSAGE_BYTES} bytes")
                elif event.size and event.name in (b"", b"message"):
                    await self._desk.deliver(event.data, exchange)

    def _place(self, endpoint: str) -> str:
        """On the server's own origin, or not at all: what is sent there is meant for this server."""
        place = path_on(self._origin, self._path, endpoint)
        if place is None:
            raise AnswerError(f"the server wants messages to be posted elsewhere than to {self._origin}")
        return place
