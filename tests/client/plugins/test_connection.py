"""Calls to a plugin: to a gRPC server that answers as no plugin should, and to a peer that says anything at all."""

from __future__ import annotations

import asyncio
import os
import struct
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from grpclib.client import UnaryUnaryMethod
from grpclib.const import Cardinality, Handler, Status
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError
from grpclib.server import Server, Stream
from hypothesis import given, settings
from hypothesis import strategies as st
from km_client.plugins.connection import DISCONNECTED, MOST_ANSWER_BYTES, BadAnswerError, Connection
from km_plugin_sdk.wire import plugin_pb2

Request, Answer = plugin_pb2.HandleStreamEventRequest, plugin_pb2.HandleStreamEventResponse
Work = Callable[[Connection], Awaitable[None]]
SECONDS = 5.0


class Raw(CodecBase):
    """Sends bytes as they are: a program that was not built on the contract."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, _type: Any) -> bytes:
        return message if isinstance(message, bytes) else message.SerializeToString()

    def decode(self, data: bytes, kind: Any) -> Any:
        return kind.FromString(data)


class Peer:
    """The event's `method` is what it is to do, its `sequence` how much of it."""

    def __mapping__(self) -> dict[str, Handler]:
        path = "/km.plugin.v1.KilometersPlugin/HandleStreamEvent"
        return {path: Handler(self.call, Cardinality.UNARY_UNARY, Request, bytes)}

    async def call(self, stream: Stream[Any, Any]) -> None:
        request: Any = await stream.recv_message()
        answer: Any = Answer(success=True)
        if request.event.method == "long":
            answer = Answer(error="x" * request.event.sequence)
        elif request.event.method == "nonsense":
            answer = b"\xff\xff\xff"
        await stream.send_message(answer)


async def handle(connection: Connection, method: str = "", *, size: int = 0, sequence: int = 0) -> Any:
    event = plugin_pb2.StreamEvent(method=method, message=bytes(size), sequence=sequence)
    call: UnaryUnaryMethod[Any, Any] = connection.plugin.HandleStreamEvent
    return await connection.call(call, Request(event=event), SECONDS)


def against_peer(work: Work) -> None:
    async def run() -> None:
        server = Server([Peer()], codec=Raw())
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "s"
            await server.start(path=str(path))
            connection = await Connection.open(path, os.getpgid(0), None)
            try:
                await work(connection)
            finally:
                connection.close()
                server.close()
                await server.wait_closed()

    asyncio.run(run())


def test_calls_of_every_size_are_answered() -> None:
    async def work(connection: Connection) -> None:
        for size in (0, 1, 16_000, 16_384, 65_535, 65_536, 3 * 1024 * 1024, 5):
            assert (await handle(connection, size=size)).success

    against_peer(work)


def test_an_answer_that_is_too_long_is_not_read_and_the_next_call_is_answered() -> None:
    async def work(connection: Connection) -> None:
        assert len((await handle(connection, "long", sequence=1_000_000)).error) == 1_000_000
        with pytest.raises(BadAnswerError, match="at most"):
            await handle(connection, "long", sequence=MOST_ANSWER_BYTES + 1)
        assert (await handle(connection)).success

    against_peer(work)


def test_an_answer_that_is_no_message_is_called_so() -> None:
    async def work(connection: Connection) -> None:
        with pytest.raises(BadAnswerError, match="makes no sense"):
            await handle(connection, "nonsense")
        assert (await handle(connection)).success

    against_peer(work)


def outcome(said: bytes) -> BaseException | None:
    """What a call comes to when `said` is all that the peer ever says before it closes."""

    async def run() -> BaseException | None:
        async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(said)
            writer.close()

        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "s"
            server = await asyncio.start_unix_server(speak, path)
            connection = await Connection.open(path, os.getpgid(0), None)
            try:
                await handle(connection)
            except (GRPCError, *DISCONNECTED) as error:
                return error
            finally:
                connection.close()
                server.close()
                await server.wait_closed()
        return None

    return asyncio.run(run())


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """HTTP/2's, RFC 9113 section 4.1."""
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


FRAMES = st.builds(frame, st.integers(0, 10), st.integers(0, 255), st.integers(0, 3), st.binary(max_size=40))


@settings(max_examples=60)
@given(st.one_of(st.binary(max_size=300), st.lists(FRAMES, max_size=12).map(b"".join)))
def test_whatever_a_peer_says_a_call_ends_as_one_that_was_cut_off(said: bytes) -> None:
    assert isinstance(outcome(said), (GRPCError, *DISCONNECTED))


OK, TRAILERS = b"\x88", b"\x00\x0cgrpc-status\x010"  # HPACK's static `:status 200`; a literal header
GRPC = b"\x0f\x10\x10application/grpc"  # `content-type` by its number, a literal value


@pytest.mark.parametrize(
    "message", [b"\1\0\0\0\2\x08\x01", b"\0\0\0\0\x09\x08\x01", b"\0\0\0"], ids=["compressed", "short", "headless"]
)
def test_a_message_that_is_not_framed_as_grpc_frames_them_is_a_bad_answer(message: bytes) -> None:
    said = frame(4, 0, 0, b"") + frame(1, 0x4, 1, OK + GRPC) + frame(0, 0x1, 1, message)
    ended = outcome(said)
    assert isinstance(ended, BadAnswerError)
    assert ended.status is Status.INTERNAL
