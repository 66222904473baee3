"""Streamable HTTP as a client speaks it, for both eras.

2025-03-26 to 2025-11-25: the session id of `initialize`'s answer goes with every request, and a GET stream brings what
the server says on its own; a stream that breaks off is resumed with `Last-Event-ID` after the server's `retry`; DELETE
ends the session, and one that the server forgot begins anew. 2026-07-28: each request stands alone, with its metadata
as headers; closing its stream cancels it.
"""

from __future__ import annotations

import asyncio
import contextlib

from km_client.proxy.http import json_rpc
from km_client.proxy.http.copies import Decoding, Room
from km_client.proxy.http.desk import Desk, Failure
from km_client.proxy.http.dialling import DialError
from km_client.proxy.http.heads import Headers, value
from km_client.proxy.http.http_client import Answer, AnswerError, HttpClient
from km_client.proxy.http.json_rpc import INVALID_REQUEST, Message
from km_client.proxy.http.looks import EVENT_STREAM, JSON_TYPES, SESSION_ID
from km_client.proxy.http.refused import BROKEN, ERROR_BYTES, body_of, facts_of, refusal_of, text_of
from km_client.proxy.http.renewal import renew
from km_client.proxy.http.resumption import Resumption
from km_client.proxy.http.sse import Decoder

MAX_MESSAGE_BYTES = 128 * 1024 * 1024  # on stdout a message is one line, so it must fit in memory as a whole
ROOM_BYTES = 2 * MAX_MESSAGE_BYTES
ACCEPTED = 202
GONE = 404
COMMON: Headers = [(b"Accept", b"application/json, text/event-stream"), (b"Content-Type", b"application/json")]
OTHER_TRANSPORT = (400, 404, 405)  # to a POST: perhaps a server of 2024-11-05


class OtherTransportError(Exception):
    """The server does not take a POST here, in a way that a server of 2024-11-05 would not (the specification's
    "Backwards Compatibility"). `failure` is what to say if it is none.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


class Streamable:
    """One client's conversation. `settled` is set once the server has shown that it speaks this transport."""

    def __init__(self, client: HttpClient, path: str, desk: Desk, *, may_be_other: bool) -> None:
        self.settled = asyncio.Event()
        if not may_be_other:
            self.settled.set()
        self._client = client
        self._path = path
        self._desk = desk
        self._room = Room(ROOM_BYTES)
        self._session_id = b""
        self._modern = ""  # the revision of the newest message of the era without sessions
        self._listening: asyncio.Task[None] | None = None
        self._hello: Message | None = None
        self._renewing = asyncio.Lock()

    def cancels_by_closing(self, message: Message | None) -> bool:
        """Whether `notifications/cancelled` for this request (or for an unknown one) is to close its stream."""
        return bool(message.version if message else self._modern and not self._desk.version)

    async def send(self, message: Message, exchange: int) -> None:
        """Post one message and deliver all that answers it. Raises `OtherTransportError`."""
        if message.method == "initialize":
            self._session_id, self._desk.version, self._hello = b"", "", message
        self._modern = message.version or self._modern
        try:
            session_id = self._session_id
            if await self._post(message, exchange, is_last=False):
                await self._renew(session_id)
                await self._post(message, exchange, is_last=True)
        except BROKEN as error:
            hint = f"; {error.hint}" if isinstance(error, DialError) else ""
            await self._desk.fail(message, exchange, Failure(f"{error}{hint}"))
            return
        if message.method == "notifications/initialized" and not self._listening:
            self._listening = asyncio.create_task(self._listen())

    async def _post(self, message: Message, exchange: int, *, is_last: bool) -> bool:
        """Whether nothing came of it because the server has forgotten the session; never if this `is_last`."""
        async with self._client.exchange("POST", self._path, self._headers(message), message.content) as answer:
            if answer.status == GONE and self._session_id and message.ids and self._desk.version and not is_last:
                return True
            await self._take(answer, message, exchange)
        return False

    async def _renew(self, session_id: bytes) -> None:
        """A new session, unless another request has seen to it meanwhile."""
        async with self._renewing:
            if self._session_id == session_id and self._hello:
                version = self._desk.version
                self._session_id = await renew(self._client, self._path, self._hello, COMMON, version)
                self._desk.say("the server has forgotten the session, as after a restart; a new one has begun")
                if self._listening and self._listening.done():
                    self._listening = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """End the session, where there is one. Raises nothing."""
        if self._listening:
            self._listening.cancel()
        if self._session_id:
            with contextlib.suppress(*BROKEN, TimeoutError):
                async with self._client.exchange("DELETE", self._path, self._standing()) as answer:
                    await answer.read(ERROR_BYTES)

    def _headers(self, message: Message) -> Headers:
        version = message.version or (self._modern if not self._desk.version else "")
        if version and message.method and message.method != "initialize":
            version_field = (b"MCP-Protocol-Version", version.encode())
            return [*COMMON, version_field, *json_rpc.metadata(message, self._desk.mirrored)]
        return COMMON + self._standing()

    def _standing(self) -> Headers:
        """What every request after `initialize` bears."""
        headers = []
        if self._session_id:
            headers.append((b"Mcp-Session-Id", self._session_id))
        if self._desk.version:
            headers.append((b"MCP-Protocol-Version", self._desk.version.encode()))
        return headers

    async def _take(self, answer: Answer, message: Message, exchange: int) -> None:
        if answer.status >= 300:
            await self._refused(answer, message, exchange)
            return
        self.settled.set()
        if message.method == "initialize":
            self._session_id = value(answer.head.headers, SESSION_ID)
        if answer.media_type == EVENT_STREAM:
            await self._stream(answer, message, exchange)
        elif answer.media_type in JSON_TYPES:
            if content := await answer.read(MAX_MESSAGE_BYTES):
                await self._desk.deliver(content, exchange, message)
        elif message.ids and answer.status != ACCEPTED:
            text = f"the answer is neither JSON nor an event stream: its content type is {text_of(answer.media_type)!r}"
            await self._desk.fail(
                message, exchange, Failure(text, INVALID_REQUEST, facts_of(answer, await body_of(answer)))
            )
        await self._settle(message, exchange, "the server took the request, but sent no answer to it")

    async def _refused(self, answer: Answer, message: Message, exchange: int) -> None:
        body = await body_of(answer)
        facts = facts_of(answer, body)
        if answer.media_type in JSON_TYPES and message.ids:
            parsed = json_rpc.parse(body)
            if parsed and parsed.is_error:
                self.settled.set()
                await self._desk.deliver(parsed.content, exchange, message)
                await self._settle(message, exchange, f"the server answered with status {answer.status}")
                return
        failure = refusal_of(answer, facts, has_session=bool(self._session_id))
        if answer.status in OTHER_TRANSPORT and not self.settled.is_set() and message.ids:
            raise OtherTransportError(failure)
        await self._desk.fail(message, exchange, failure)

    async def _stream(self, answer: Answer, message: Message, exchange: int) -> None:
        """Deliver the events of one answer, over as many connections as it takes."""
        resume = Resumption()
        problem = "the event stream ended without an answer"
        try:
            await self._events(answer, exchange, resume)
        except BROKEN as error:
            problem = f"the event stream broke off: {error}"
        while self._is_unanswered(message) and resume.last_event_id and not message.version and resume.may_retry():
            await asyncio.sleep(resume.wait_seconds())
            with contextlib.suppress(*BROKEN):
                async with self._get(resume.last_event_id) as again:
                    if again.media_type != EVENT_STREAM or again.status != 200:
                        break
                    await self._events(again, exchange, resume)
        await self._settle(message, exchange, problem)

    async def _listen(self) -> None:
        """What the server says on its own, for as long as it offers a stream for that."""
        resume = Resumption()
        exchange = next(self._desk.exchanges)
        while resume.may_retry():
            with contextlib.suppress(*BROKEN):
                async with self._get(resume.last_event_id) as answer:
                    if 400 <= answer.status < 500:
                        return  # 405 says that it offers none
                    if answer.media_type == EVENT_STREAM and answer.status == 200:
                        await self._events(answer, exchange, resume)
            await asyncio.sleep(resume.wait_seconds())
        text = "the stream of what the server says on its own broke off, and could not be taken up again"
        await self._desk.fail(None, exchange, Failure(text))

    def _get(self, last_event_id: bytes) -> contextlib.AbstractAsyncContextManager[Answer]:
        headers = [(b"Accept", EVENT_STREAM), (b"Cache-Control", b"no-store"), *self._standing()]
        if last_event_id:
            headers.append((b"Last-Event-ID", last_event_id))
        return self._client.exchange("GET", self._path, headers)

    async def _events(self, answer: Answer, exchange: int, resume: Resumption) -> None:
        decoder = Decoder(self._room, MAX_MESSAGE_BYTES)
        decoding = Decoding(value(answer.head.headers, b"content-encoding"))
        try:
            async for data in answer.pieces():
                for event in [event for piece in decoding.pieces(data) for event in decoder.feed(piece)]:
                    resume.learn(event.id, event.retry_ms)
                    if event.size > len(event.data):
                        raise AnswerError(f"a message is longer than {MAX_MESSAGE_BYTES} bytes")
                    if event.size and event.name in (b"", b"message"):
                        await self._desk.deliver(event.data, exchange)
        finally:
            decoder.drop()

    def _is_unanswered(self, message: Message) -> bool:
        return any(map(self._desk.is_open, message.ids))

    async def _settle(self, message: Message, exchange: int, problem: str) -> None:
        """No request stays without an answer once its exchange is over."""
        if self._is_unanswered(message):
            await self._desk.fail(message, exchange, Failure(problem))
