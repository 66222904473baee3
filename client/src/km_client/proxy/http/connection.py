"""One client's connection to the listener, and the connection to the server that goes with it.

    client ──request──▶ checked ──▶ dialled at the first request ──▶ server
           ◀─ every piece is sent on as it comes, then shown to the tape ─┘

The two live and end together: a server that closes an idle connection is seen to do so by the client, a reset reaches
the other side as a reset, and a client that leaves closes the server's side at once. So what a client sees is what it
would see without us, its retries included, and no two clients ever share a connection. Nothing is held back: neither a
request nor an answer is read further than one piece ahead of who takes it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from km_client.proxy.http import bodies, heads
from km_client.proxy.http.answers import response_body, response_head
from km_client.proxy.http.bodies import Body, LengthBody, encode_chunk
from km_client.proxy.http.dialling import DialError
from km_client.proxy.http.framing import Frame, framed, framing, plain
from km_client.proxy.http.gateway import Gateway, refusal_of
from km_client.proxy.http.heads import BadMessageError, RequestHead
from km_client.proxy.http.tape import Tape
from km_client.proxy.http.wire import Wire

HEAD_SECONDS = 10.0  # from the first byte of a head to its last: a client that needs longer does it on purpose
IDLE_SECONDS = 300.0  # between two requests; servers close after five to sixty
LINGER_SECONDS = 1.0
STALL_SECONDS = 60.0  # without a byte of a body that was announced

if TYPE_CHECKING:
    from km_client.proxy.http.held import HeldExchange


class Connection:
    """`serve()` returns when the connection is over, in whatever way; it raises nothing."""

    def __init__(self, client: Wire, gateway: Gateway) -> None:
        self._client = client
        self._gateway = gateway
        self._server: Wire | None = None
        self._has_answered = False
        self._held: HeldExchange | None = None

    async def serve(self) -> None:
        task = asyncio.current_task()
        assert task
        self._client.on_lost = task.cancel
        try:
            while await self._exchange():
                pass
            if self._server:
                self._server.close()
        except BadMessageError as error:
            with contextlib.suppress(asyncio.CancelledError):
                await self._refuse(error)
        except (ConnectionError, asyncio.CancelledError, OSError):
            self._client.abort()
        finally:
            self._client.close()
            if self._server:
                self._server.abort()

    async def _exchange(self) -> bool:
        """One request and its response; whether another may follow."""
        self._has_answered = False
        await self._client.flushed()  # who asks on and on and takes no answer has to wait for none, too
        taken = await self._head()
        if taken is None:
            return False
        head, rest = taken
        self._gateway.guard.check(head)
        head = self._gateway.aimed(head)
        body = bodies.request_body(head)
        first = body.feed(rest)
        tape = self._gateway.tape(head)
        try:
            self._held = self._gateway.held(head, tape)
            if self._held:
                sent = await self._held.request(body, first, self._client, self._more)
                return (
                    heads.stays_open(head) if sent is None else await self._pass_on(self._held.head, body, sent, tape)
                )
            return await self._pass_on(head, body, first, tape)
        except asyncio.CancelledError:
            tape.client_left()
            raise
        except (ConnectionError, BadMessageError) as error:
            tape.failed(f"the exchange broke off: {error}")
            raise
        finally:
            tape.close()
            if self._held:
                self._held.close()

    async def _head(self) -> tuple[RequestHead, bytes] | None:
        """The next request; `None` where there is none any more."""
        loop = asyncio.get_running_loop()
        idle = loop.call_later(IDLE_SECONDS, self._client.close)
        if self._server:
            self._server.on_lost = self._client.close
        data = await self._client.receive()
        idle.cancel()
        if self._server:
            self._server.on_lost = None
        deadline = loop.time() + HEAD_SECONDS
        while (taken := heads.take_head(data.lstrip(b"\r\n") if data[:1] in b"\r\n" else data)) is None:
            if not data or self._client.is_lost:
                return None
            data += await _within(deadline - loop.time(), self._client.receive(), "the head of the request")
        return heads.parse_request(taken[0]), taken[1]

    async def _pass_on(self, head: RequestHead, body: Body, first: bytes, tape: Tape) -> bool:
        try:
            server = await self._connected()
        except DialError as error:
            tape.failed(str(error))
            self._gateway.complain(error)
            self._client.send(self._gateway.cannot_reach(error))
            await self._linger()
            return False
        frame = framing(body)
        server.send(heads.encode_request(self._gateway.to_server(head)) + framed(frame, first, body))
        tape.request(first)
        upload = None
        if body.is_whole:
            tape.request_ended()
            self._client.put_back(body.rest)
        else:
            upload = asyncio.create_task(self._upload(body, frame, server, tape))
            upload.add_done_callback(lambda done: _end_both(done, server))
        try:
            goes_on = await self._answer(head, server, tape)
        except (ConnectionError, BadMessageError):
            if upload and upload.done() and not upload.cancelled() and (cause := upload.exception()):
                raise cause from None
            raise
        finally:
            if upload and not upload.done():
                upload.cancel()
        if upload and upload.cancelling():  # answered before it was asked to the end: nobody knows what comes next
            await asyncio.wait([upload])
            await self._linger()
            return False
        return goes_on

    async def _connected(self) -> Wire:
        """Raises `DialError`."""
        if self._server is None:
            self._server = await self._gateway.dialler.dial()
        elif self._server.has_more() or self._server.is_lost:
            raise ConnectionResetError("the server ended the connection")
        return self._server

    async def _upload(self, body: Body, frame: Frame, server: Wire, tape: Tape) -> None:
        while not body.is_whole:
            content = body.feed(await self._more())
            server.send(framed(frame, content, body))
            tape.request(content)
            await server.flushed()
        tape.request_ended()
        self._client.put_back(body.rest)

    async def _more(self) -> bytes:
        """The next piece of the request."""
        data = await _within(STALL_SECONDS, self._client.receive(), "the body of the request")
        if not data:
            raise ConnectionResetError("the client ended in the middle of its request")
        return data

    async def _answer(self, request: RequestHead, server: Wire, tape: Tape) -> bool:
        """Pass the response on; whether another request may follow."""
        while True:
            head, rest = await response_head(server)
            if head.status >= 200:
                break
            if request.minor:  # HTTP/1.0 knows of one answer only, and would take this for it (RFC 9110 §15.2)
                self._client.send(heads.encode_response(self._gateway.to_client(head)))
                await self._client.flushed()
            server.put_back(rest)
        body, content = response_body(head, request.method, rest)
        is_measured = isinstance(body, LengthBody)
        goes_on = request.minor == 1 and heads.stays_open(request) and heads.stays_open(head)
        through = self._held.through(head) if self._held else None
        frame = plain if (is_measured and not through) or request.minor == 0 else encode_chunk
        shown = self._gateway.to_client(head, chunked=frame is encode_chunk, closes=not goes_on)
        passed = await through(content, body.is_whole) if through else content
        self._has_answered = True
        self._client.send(heads.encode_response(shown) + framed(frame, passed, body))
        tape.response(head)
        tape.data(content)
        while not body.is_whole:
            await self._client.flushed()
            data = await server.receive()
            if not data and not body.end():
                raise ConnectionResetError("the server closed the connection in the middle of its answer")
            content = body.feed(data)
            passed = await through(content, body.is_whole) if through else content
            self._client.send(framed(frame, passed, body))
            tape.data(content)
        tape.ended()
        if body.rest:
            raise BadMessageError("the server sent more than its answer", 502)
        return goes_on and not server.is_lost

    async def _refuse(self, error: BadMessageError) -> None:
        """Answer what is no proper request, then read no more of it. In the middle of an answer: a reset."""
        if self._has_answered:
            self._client.abort()
            return
        self._gateway.debug(f"refused with {error.status}: {error}")
        self._client.send(refusal_of(error))
        await self._linger()

    async def _linger(self) -> None:
        """Take what the client still sends: closing before would make the system throw our answer away (§9.6)."""
        if self._client.transport.can_write_eof() and not self._client.is_lost:
            self._client.transport.write_eof()
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(LINGER_SECONDS):
                while await self._client.receive():
                    pass


def _end_both(upload: asyncio.Task[None], server: Wire) -> None:
    """What went wrong with the request ends the exchange; who waits for the answer then looks why."""
    if not upload.cancelled() and upload.exception():
        server.abort()


async def _within(seconds: float, receiving: object, what: str) -> bytes:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            data: bytes = await receiving  # type: ignore[misc]
            return data
    except TimeoutError:
        raise BadMessageError(f"{what} did not come in time", 408) from None
