"""Requests of our own, for the bridge: one connection for each at a time, kept open for the next.

    async with client.exchange("POST", headers, body) as answer:
        answer.status, answer.media_type; async for data in answer.pieces(): …

Leaving the block before the body is whole closes the connection, which is how a stream is cancelled. A redirect is
followed when it keeps the method (307, 308) and the origin, as MCP's SDKs do: what `--header` says is for this server.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from km_client.proxy.http import bodies, heads
from km_client.proxy.http.answers import response_body, response_head
from km_client.proxy.http.dialling import Dialler
from km_client.proxy.http.heads import Headers, RequestHead, ResponseHead, value
from km_client.proxy.http.hiding import hidden_url
from km_client.proxy.http.looks import media_type
from km_client.proxy.http.target import path_on
from km_client.proxy.http.wire import Wire

IDLE_SECONDS = 4.0  # servers close idle connections after five and more: one that is reused is very likely open
MAX_REDIRECTS = 5
REDIRECTS = (307, 308)


class AnswerError(Exception):
    """There is no answer, or none that can be used."""


class Answer:
    """The response to one request."""

    def __init__(self, head: ResponseHead, body: bodies.Body, first: bytes, wire: Wire) -> None:
        self.head = head
        self.status = head.status
        self.media_type = media_type(head.headers)
        self.body = body
        self._first = first
        self._wire = wire

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises `ConnectionError` and `BadMessageError`."""
        if self._first:
            yield self._first
        while not self.body.is_whole:
            data = await self._wire.receive()
            if not data and not self.body.end():
                raise ConnectionResetError("the server closed the connection in the middle of its answer")
            content = self.body.feed(data)
            if content:
                yield content

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises `AnswerError` if it is longer than `limit` bytes."""
        parts, size = [], 0
        async for data in self.pieces():
            parts.append(data)
            size += len(data)
            if size > limit:
                raise AnswerError(f"the answer is longer than {limit} bytes")
        return b"".join(parts)


class HttpClient:
    """For one server. `extra` are the fields of `--header`."""

    def __init__(self, dialler: Dialler, extra: Headers) -> None:
        target = dialler.target
        self._dialler = dialler
        self._origin = target.origin
        own = [(b"User-Agent", b"km-client"), (b"Accept-Encoding", b"identity")]  # unsaid, any coding would do
        named = {name.lower() for name, _ in extra}
        own = [field for field in own if field[0].lower() not in named]
        self._common: Headers = [(b"Host", target.authority.encode()), *own, *extra]
        if target.authorization and not heads.values(extra, b"authorization"):
            self._common.append((b"Authorization", target.authorization.encode()))
        self._idle: list[tuple[Wire, asyncio.TimerHandle]] = []

    @contextlib.asynccontextmanager
    async def exchange(self, method: str, path: str, headers: Headers, body: bytes = b"") -> AsyncIterator[Answer]:
        """Raises `DialError`, `ConnectionError`, `BadMessageError` and `AnswerError`."""
        for _ in range(MAX_REDIRECTS + 1):
            wire = await self._wire()
            answer: Answer | None = None
            try:
                answer = await self._ask(wire, RequestHead(method.encode(), path.encode(), 1, headers), body)
                moved = self._moved_to(answer, path)
                if moved is None:
                    yield answer
                    return
                path = moved
            finally:
                self._leave(wire, answer)
        raise AnswerError(f"the server redirects more than {MAX_REDIRECTS} times")

    def close(self) -> None:
        for wire, timer in self._idle:
            timer.cancel()
            wire.close()
        self._idle.clear()

    async def _ask(self, wire: Wire, head: RequestHead, body: bytes) -> Answer:
        length = [(b"Content-Length", b"%d" % len(body))] if head.method == b"POST" else []
        named = {name.lower() for name, _ in self._common}
        own = [(name, content) for name, content in head.headers if name.lower() not in named]
        wire.send(heads.encode_request(head._replace(headers=[*self._common, *own, *length])) + body)
        while True:
            answer, rest = await response_head(wire)
            if answer.status >= 200:
                break
            wire.put_back(rest)
        framed, first = response_body(answer, head.method, rest)
        return Answer(answer, framed, first, wire)

    async def _wire(self) -> Wire:
        while self._idle:
            wire, timer = self._idle.pop()
            timer.cancel()
            if not wire.is_lost and not wire.has_more():
                return wire
            wire.abort()
        return await self._dialler.dial()

    def _leave(self, wire: Wire, answer: Answer | None) -> None:
        if answer and answer.body.is_whole and not answer.body.rest and heads.stays_open(answer.head):
            timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, wire.close)
            self._idle.append((wire, timer))
            self._idle = [each for each in self._idle if not each[0].is_lost]
        else:
            wire.abort()

    def _moved_to(self, answer: Answer, path: str) -> str | None:
        if answer.status not in REDIRECTS:
            return None
        location = value(answer.head.headers, b"location").decode("latin-1")
        moved = path_on(self._origin, path, location) if location else None
        if moved is None:
            where = hidden_url(location)
            raise AnswerError(f"the server redirects to `{where}`, elsewhere: if that is right, give it as --url")
        return moved
