r"""Changed tools held behind the reverse proxy: one exchange's messages, judged as they pass.

    held = gateway.held(head, tape)                          `None` unless `tools.on_change` is `hold`, or it is no MCP
    body = await held.request(body, first, client)           the whole request; `None` if it was answered here
    through = held.through(head)                             of the answer: awaited, what goes on of each piece

A request of MCP is sent on once it is whole. In an answer, a JSON body is judged when it is whole and an event stream
event by event; what needs no change keeps its bytes, and only the framing of HTTP (`Content-Length`, chunks) may
differ. Compression is not asked for, as what is compressed cannot be judged: a server that compresses all the same is
answered for with 502.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakSet

from km_client.pinning.pins import Walk
from km_client.proxy.holding import ERROR, Judge, Refusal
from km_client.proxy.http import heads
from km_client.proxy.http.bodies import Body, encode_chunk
from km_client.proxy.http.copies import IDENTITY, Room
from km_client.proxy.http.heads import BadMessageError, RequestHead, ResponseHead, value, values
from km_client.proxy.http.judging import answered
from km_client.proxy.http.looks import EVENT_STREAM, JSON_TYPES, SESSION_ID, media_type
from km_client.proxy.http.sse import Decoder
from km_client.proxy.http.tape import Tape
from km_client.proxy.http.wire import Wire

MAX_BYTES = 64 * 1024 * 1024  # of a message that can be judged
MAX_WALKS = 128
LONGEST_END = 4  # bytes
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_EVENT_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n|\Z))")
More = Callable[[], Awaitable[bytes]]
Through = Callable[[bytes, bool], Awaitable[bytes]]
"""A piece of the body, and whether it is the last -> what goes on."""


class HeldExchanges:
    """Of one listener. `judge(walk)` makes what judges the messages of an exchange."""

    def __init__(self, judge: Callable[[Walk], Judge | None]) -> None:
        self._judge = judge
        self._walks: OrderedDict[bytes, Walk] = OrderedDict()
        self._streams: WeakSet[HeldExchange] = WeakSet()

    def begin(self, head: RequestHead, tape: Tape) -> HeldExchange | None:
        """An exchange of MCP; `None` where nothing is held."""
        key = value(head.headers, SESSION_ID) or value(head.headers, b"user-agent")[:256]
        walk = self._walks.pop(key, None) or Walk()
        is_message = head.method == b"POST" and media_type(head.headers) in JSON_TYPES  # wherever a server wants it
        judge = self._judge(walk) if tape.is_mcp or is_message else None
        if judge is None:
            return None
        self._walks[key] = walk
        if len(self._walks) > MAX_WALKS:
            self._walks.popitem(last=False)
        judge.is_wary = True
        return HeldExchange(judge, head, tape, self._streams)


class HeldExchange:
    """One request with its answer."""

    def __init__(self, judge: Judge, head: RequestHead, tape: Tape, streams: WeakSet[HeldExchange]) -> None:
        self._judge = judge
        self._head = head
        self._tape = tape
        self._streams = streams
        self._client: Wire | None = None
        self._buffer = bytearray()
        self._looked_at = 0  # of the buffer: no event ends before

    @property
    def head(self) -> RequestHead:
        """The request's, asking for an answer that can be read; what it expected, it has had."""
        kept = [field for field in self._head.headers if field[0].lower() not in (b"accept-encoding", b"expect")]
        return self._head._replace(headers=[*kept, (b"Accept-Encoding", b"identity")])

    async def request(self, body: Body, first: bytes, client: Wire, more: More) -> bytes | None:
        """`more()` is the next piece. Raises `BadMessageError`, and `ConnectionError` of a client that leaves."""
        self._client = client
        if self._head.method != b"POST":
            self._streams.add(self)
            return first
        if value(self._head.headers, b"content-encoding").strip().lower() not in IDENTITY:
            raise BadMessageError("a compressed request cannot be judged while changed tools are held", 415)
        if not body.is_whole and value(self._head.headers, b"expect").lower() == b"100-continue":
            client.send(b"HTTP/1.1 100 Continue\r\n\r\n")  # the server has nothing to say before it has the whole
        parts, size = [first], len(first)
        while not body.is_whole:
            parts.append(body.feed(await more()))
            size += len(parts[-1])
            if size > MAX_BYTES:
                raise BadMessageError(f"a request of more than {MAX_BYTES} bytes cannot be judged", 413)
        content = b"".join(parts)
        asked = self._judge.asked(content, time.time_ns())
        if not asked.refusals:
            return content
        client.put_back(body.rest)
        await self._refuse(content, asked.refusals, client)
        return None

    def through(self, head: ResponseHead) -> Through | None:
        """`None` where there is nothing to judge. Raises `BadMessageError`."""
        kind = b", ".join(values(head.headers, b"content-type")).lower()
        is_stream, is_json = EVENT_STREAM in kind, b"json" in kind  # clients look for no more than these words
        if head.status in (204, 304) or value(head.headers, b"content-length") == b"0":
            return None
        if self._head.method != b"POST" and not (self._head.method == b"GET" and (is_stream or is_json)):
            return None
        if is_stream and is_json:
            raise BadMessageError("the server's answer says that it is JSON and an event stream", 502)
        if value(head.headers, b"content-encoding").strip().lower() not in IDENTITY:
            raise BadMessageError("the server's answer is compressed, and cannot be judged while tools are held", 502)
        return self._events if is_stream else self._whole

    async def _whole(self, content: bytes, is_last: bool) -> bytes:
        self._keep(content)
        if not is_last:
            return b""
        whole = bytes(self._buffer)
        if whole[:2] in UTF_16 or b"\0" in whole[:4]:  # some readers of JSON find that out by themselves
            raise BadMessageError("the server's answer is not in UTF-8, and cannot be judged while tools are held", 502)
        return await self._judged(whole)

    async def _events(self, content: bytes, is_last: bool) -> bytes:
        self._keep(content)
        passed, start = [], 0
        for found in _EVENT_END.finditer(self._buffer, self._looked_at):
            passed.append(await self._event(bytes(self._buffer[start : found.end()])))
            start = found.end()
        del self._buffer[:start]
        self._looked_at = max(0, len(self._buffer) - LONGEST_END)
        if is_last and self._buffer:  # what the end cuts off is no event, but some readers take it for one
            passed.append(await self._event(bytes(self._buffer)))
        return b"".join(passed)

    async def _event(self, raw: bytes) -> bytes:
        decoded = Decoder(Room(), MAX_BYTES).feed(raw + b"\n\n")
        data = decoded[0].data if decoded else b""
        shown = await self._judged(data) if data else data
        if shown is data:
            return raw
        lines = re.split(rb"\r\n?|\n", raw.removeprefix(BYTE_ORDER_MARK))
        kept = [line for line in lines if line and not line.startswith(b"data")]
        said = [b"data: " + line for line in shown.split(b"\n")] if shown else []
        return b"\n".join([*kept, *said]) + b"\n\n"

    async def _judged(self, message: bytes) -> bytes:
        answer = await answered(self._judge, message)
        if not answer.note:
            return message
        for each in answer.note.split(b"\n"):
            self._tape.withheld(each)
        return answer.content

    def _keep(self, content: bytes) -> None:
        if len(self._buffer) + len(content) > MAX_BYTES:
            raise BadMessageError(f"an answer of more than {MAX_BYTES} bytes cannot be judged", 502)
        self._buffer += content

    async def _refuse(self, content: bytes, refusals: list[Refusal], client: Wire) -> None:
        """Answer in the server's place. A batch is answered as a whole: none of it was sent on."""
        self._tape.request(content)
        self._tape.request_ended()
        is_batch = content.removeprefix(BYTE_ORDER_MARK).lstrip()[:1] == b"["
        body = _of_batch(content, refusals) if is_batch else refusals[0].error
        for refusal in refusals:
            self._tape.withheld(refusal.note)
        stream = next((each for each in self._streams if each.takes_answers_of(self._head)), None)
        if stream and body:
            await stream.put(body)
        said = b"" if stream else body
        client.send(heads.encode_response(_json_head(202 if stream or not body else 200, said)) + said)
        self._tape.response(_json_head(200, body))
        self._tape.data(body)
        self._tape.ended()

    def close(self) -> None:
        """The exchange is over: nothing may be put into its answer any more."""
        self._streams.discard(self)

    def takes_answers_of(self, head: RequestHead) -> bool:
        """Whether this is the stream of 2024-11-05 on which what is posted there is answered."""
        return bool(self._client) and self._tape.answers_to == head.target

    async def put(self, message: bytes) -> None:
        """A message of our own: `through` gives whole events only, so this is between two. Waits while the client takes
        none of them.
        """
        event = b"event: message\ndata: " + message + b"\n\n"
        if self._client:
            with contextlib.suppress(ConnectionError):  # it left the stream, and nobody hears the answer
                await self._client.flushed()
                if self in self._streams:
                    self._client.send(event if self._head.minor == 0 else encode_chunk(event))


def _json_head(status: int, body: bytes) -> ResponseHead:
    kind = [(b"Content-Type", b"application/json")] if body else []
    reason = b"OK" if status == 200 else b"Accepted"
    return ResponseHead(status, reason, 1, [*kind, (b"Content-Length", b"%d" % len(body))])


def _of_batch(content: bytes, refusals: list[Refusal]) -> bytes:
    try:
        batch: list[Any] = json.loads(content)
    except RecursionError:  # refused for that, as a whole
        return refusals[0].error
    answers = [json.loads(refusal.error) for refusal in refusals if refusal.error]
    known = [answer["id"] for answer in answers]
    why = {"code": ERROR, "message": "km-client: not sent on, because a call beside it in this batch is held"}
    asked = (each for each in batch if isinstance(each, dict) and "method" in each and each.get("id") is not None)
    answers += [{"jsonrpc": "2.0", "id": each["id"], "error": why} for each in asked if each["id"] not in known]
    return json.dumps(answers).encode()
