"""The connection events take: against a real gRPC server, and against a peer that says anything at all."""

from __future__ import annotations

import asyncio
import struct
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest
from grpclib.config import Configuration
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server, Stream
from hypothesis import given
from hypothesis import strategies as st
from km_client.plugins.event_link import MOST_ANSWER_BYTES, EventLink
from km_plugin_sdk.wire import plugin_pb2

Request, Answer = plugin_pb2.HandleStreamEventRequest, plugin_pb2.HandleStreamEventResponse
Work = Callable[[EventLink], Coroutine[Any, Any, None]]


class Peer:
    """A gRPC service made with grpclib. The message of the event is what it is to do."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.given_up = asyncio.Event()

    def __mapping__(self) -> dict[str, Handler]:
        return {"/peer/Call": Handler(self.call, Cardinality.UNARY_UNARY, Request, Answer)}

    async def call(self, stream: Stream[Any, Any]) -> None:
        request: Any = await stream.recv_message()
        self.seen.append(len(request.event.message))
        match request.event.method:
            case "fail":
                raise GRPCError(Status.RESOURCE_EXHAUSTED, "too much, naïvely")
            case "long":
                await stream.send_message(Answer(error="x" * request.event.sequence))
            case "hang":
                try:
                    await asyncio.Event().wait()
                finally:
                    self.given_up.set()
            case _:
                await stream.send_message(Answer(success=True))


def against(peer_of: Callable[[], Peer], work: Callable[[EventLink, Peer], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        peer = peer_of()
        narrow = Configuration(http2_connection_window_size=65_535, http2_stream_window_size=65_535)
        server = Server([peer], config=narrow)
        with tempfile.TemporaryDirectory() as place:
            path = str(Path(place) / "s")
            await server.start(path=path)
            link = EventLink(scheme="http", timeout_seconds=6.0)
            await asyncio.get_running_loop().create_unix_connection(lambda: link, path)
            try:
                async with asyncio.timeout(20):
                    await work(link, peer)
            finally:
                link.close()
                server.close()
                await server.wait_closed()

    asyncio.run(run())


def request(method: str = "", size: int = 0, sequence: int = 0) -> bytes:
    event = plugin_pb2.StreamEvent(method=method, message=bytes(size), sequence=sequence)
    return bytes(Request(event=event).SerializeToString())


def test_calls_of_every_size_are_answered_in_order() -> None:
    sizes = [0, 1, 16_000, 16_384, 65_535, 65_536, 3 * 1024 * 1024, 5]

    async def work(link: EventLink, peer: Peer) -> None:
        for size in sizes:
            assert Answer.FromString(await link.call("/peer/Call", request(size=size))).success
        assert peer.seen == sizes

    against(Peer, work)


def test_an_error_is_the_calls_and_not_the_connections() -> None:
    async def work(link: EventLink, _: Peer) -> None:
        with pytest.raises(GRPCError) as failed:
            await link.call("/peer/Call", request("fail"))
        assert (failed.value.status, failed.value.message) == (Status.RESOURCE_EXHAUSTED, "too much, naïvely")
        with pytest.raises(GRPCError) as unknown:
            await link.call("/peer/Unknown", request(size=200_000))
        assert unknown.value.status is Status.UNIMPLEMENTED
        assert await link.call("/peer/Call", request())

    against(Peer, work)


def test_many_long_answers_pass_and_one_that_is_too_long_ends_the_connection() -> None:
    async def work(link: EventLink, _: Peer) -> None:
        for _number in range(12):
            answer = Answer.FromString(await link.call("/peer/Call", request("long", sequence=300_000)))
            assert len(answer.error) == 300_000
        with pytest.raises(ConnectionError, match="more than a mebibyte"):
            await link.call("/peer/Call", request("long", sequence=MOST_ANSWER_BYTES + 1))
        with pytest.raises(ConnectionError):
            await link.call("/peer/Call", request())

    against(Peer, work)


def test_a_call_that_is_given_up_is_cancelled_at_the_other_end_and_the_next_one_works() -> None:
    async def work(link: EventLink, peer: Peer) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(link.call("/peer/Call", request("hang")), 0.05)
        await peer.given_up.wait()
        assert await link.call("/peer/Call", request())

    against(Peer, work)


class Sink(asyncio.Transport):
    """A transport whose other end never reads."""

    def __init__(self, unread: int = 0) -> None:
        super().__init__()
        self.unread = unread
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.unread += len(data)

    def get_write_buffer_size(self) -> int:
        return self.unread

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


def outcome(data: bytes, pieces: int = 1, unread: int = 0) -> bytes | Exception | None:
    """What a call comes to when this is all the peer ever says: an answer, an error, or nothing."""

    async def run() -> bytes | Exception | None:
        link, sink = EventLink(scheme="http", timeout_seconds=1.0), Sink(unread)
        link.connection_made(sink)
        task = asyncio.ensure_future(link.call("/peer/Call", request()))
        await asyncio.sleep(0)
        step = max(1, len(data) // pieces)
        for at in range(0, len(data), step):
            link.data_received(data[at : at + step])
        await asyncio.sleep(0)
        if task.done():
            return cast("Exception | None", task.exception()) or task.result()
        assert not sink.is_closed
        link.connection_lost(None)
        with pytest.raises(ConnectionError):
            await task
        return None

    return asyncio.run(run())


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


OK_HEADERS = b"\x88"  # :status 200, from HPACK's static table
GOOD_TRAILERS = b"\x00\x0bgrpc-status\x010"
BODY = struct.pack(">BI", 0, 2) + b"\x08\x01"


def test_an_answer_in_many_pieces_with_padding_and_continuations_is_understood() -> None:
    data = (
        frame(1, 0x8 | 0x20, 1, b"\x02" + bytes(5) + OK_HEADERS + b"..")
        + frame(9, 0x4, 1, b"")
        + frame(250, 0, 0, b"a frame of a later version")
        + frame(0, 0x8, 1, b"\x03" + BODY[:3] + b"...")
        + frame(0, 0, 1, BODY[3:])
        + frame(1, 0x1, 1, GOOD_TRAILERS[:4])
        + frame(9, 0x4, 1, GOOD_TRAILERS[4:])
    )
    assert outcome(data) == b"\x08\x01"
    assert outcome(data, pieces=len(data)) == b"\x08\x01"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (frame(0, 0, 1, b"") + b"\x00\x40\x01" + bytes(6), "a frame of 16385 bytes"),
        (frame(5, 0x4, 1, bytes(5)), "a push"),
        (frame(1, 0, 1, OK_HEADERS) + frame(0, 0, 1, b""), "headers without their end"),
        (frame(1, 0, 1, bytes(10_000)) + frame(9, 0, 1, bytes(10_000)) * 6, "headers of more than 64 KiB"),
        (frame(1, 0x4, 1, b"\xff\xff\xff\xff\xff"), "broke the protocol"),
        (frame(1, 0x4, 1, OK_HEADERS) + frame(1, 0x5, 1, GOOD_TRAILERS), "broke the protocol"),
        (frame(0, 0, 1, b"\1" + BODY[1:]) + frame(1, 0x5, 1, GOOD_TRAILERS), "not one uncompressed message"),
        (frame(0, 0, 1, BODY + b"more") + frame(1, 0x5, 1, GOOD_TRAILERS), "not one uncompressed message"),
        (frame(8, 0, 0, b""), "broke the protocol"),
        (frame(4, 0, 0, bytes(7)), "broke the protocol"),
    ],
)
def test_whatever_breaks_the_protocol_ends_the_connection_with_a_reason(data: bytes, says: str) -> None:
    ended = outcome(data)
    assert isinstance(ended, ConnectionError)
    assert says in str(ended)


def test_a_peer_that_asks_and_does_not_read_the_answers_ends_the_connection() -> None:
    """Or its questions would fill our memory."""
    ended = outcome(frame(6, 0, 0, bytes(8)) * 1000, unread=16 * 1024 * 1024 - 1000)
    assert isinstance(ended, ConnectionError)
    assert "does not read the answers" in str(ended)


def test_a_call_the_peer_ends_early_is_an_error_of_that_call() -> None:
    ended = outcome(frame(3, 0, 1, struct.pack(">I", 7)))
    assert isinstance(ended, GRPCError)
    assert ended.status is Status.UNAVAILABLE
    without = outcome(frame(1, 0x5, 1, OK_HEADERS))
    assert isinstance(without, GRPCError)
    assert without.status is Status.UNKNOWN


@given(st.binary(max_size=300), st.integers(1, 20))
def test_no_bytes_raise_anything_else(data: bytes, pieces: int) -> None:
    ended = outcome(data, pieces)
    assert ended is None or isinstance(ended, bytes | ConnectionError | GRPCError)


FRAMES = st.builds(
    frame, st.integers(0, 10), st.integers(0, 255), st.integers(0, 3), st.binary(max_size=40)
)  # near enough to real ones to get past the first check


@given(st.lists(FRAMES, max_size=12))
def test_no_frames_raise_anything_else(frames: list[bytes]) -> None:
    ended = outcome(b"".join(frames))
    assert ended is None or isinstance(ended, bytes | ConnectionError | GRPCError)
