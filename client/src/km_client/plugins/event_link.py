"""The connection every event takes: one gRPC call after the other, in HTTP/2 frames of our own making.

    answer = await link.call("/km.plugin.v1.KilometersPlugin/HandleStreamEvents", request)      # bytes both ways

    ──▶ HEADERS, the same bytes each time · DATA, up to the peer's frame size and windows
    ◀── HEADERS · DATA · HEADERS with `grpc-status`

Everything else the host says to a plugin goes through grpclib on another connection. Its general machinery takes 0.8 ms
of processor time for a call, three times what the 64 events in it take; this takes a tenth of that.

Follows gRPC's PROTOCOL-HTTP2.md. Whatever the plugin says that breaks the protocol ends the connection.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import unquote

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from km_client.plugins import http2
from km_client.plugins.http2 import BrokenError, Frame, frame, number

MOST_ANSWER_BYTES = 1024 * 1024  # an answer counts events and describes a few failures
_OUR_WINDOW = 2 * MOST_ANSWER_BYTES  # so that an answer that is too long shows itself
_MOST_UNREAD_BYTES = 16 * 1024 * 1024  # a batch is at most 3 MiB
_CANCEL = 8  # an HTTP/2 error code
_HTTP_OK, _UNAVAILABLE = b"200", b"14"


class EventLink(asyncio.Protocol):
    """Calls are made one at a time, which is what keeps events in order."""

    def __init__(self, *, scheme: str, timeout_seconds: float) -> None:
        self._scheme, self._timeout = scheme, f"{int(timeout_seconds * 1000)}m"
        self._blocks: dict[str, bytes] = {}
        self._transport: asyncio.Transport | None = None
        self._closed = False
        self._received, self._header_blocks = bytearray(), http2.HeaderBlocks()
        self._next_stream, self._stream, self._is_open = 1, 0, False
        self._answer: asyncio.Future[bytes] | None = None
        self._body = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._unsent = b""
        self._frame_bytes, self._stream_window_at_first = http2.FRAME_BYTES, http2.WINDOW
        self._window, self._stream_window, self._to_give_back = http2.WINDOW, 0, 0

    async def call(self, path: str, request: bytes) -> bytes:
        """Raises `GRPCError`, or `ConnectionError` when the plugin is gone or makes no sense."""
        if self._closed or self._transport is None or self._next_stream > http2.LAST_STREAM:
            raise ConnectionError("the plugin closed its connection")
        self._stream, self._next_stream, self._is_open = self._next_stream, self._next_stream + 2, True
        self._body.clear()
        self._headers.clear()
        self._stream_window = self._stream_window_at_first
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answer, self._unsent = answer, struct.pack(">BI", 0, len(request)) + request
        try:
            self._send(frame(http2.HEADERS, http2.END_HEADERS, self._stream, self._block_of(path)))
            return await answer
        except BrokenError as error:
            self.close()
            raise ConnectionError(f"the plugin broke the protocol: {error}") from None
        finally:
            if (self._is_open or self._unsent) and not self._transport.is_closing():
                self._transport.write(frame(http2.RST_STREAM, 0, self._stream, number(_CANCEL)))
            self._answer, self._stream, self._unsent = None, 0, b""

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "a stream"
        self._transport = transport
        settings = struct.pack(">HIHI", http2.ENABLE_PUSH, 0, http2.INITIAL_WINDOW, _OUR_WINDOW)
        more = number(_OUR_WINDOW - http2.WINDOW)
        transport.write(http2.PREFACE + frame(http2.SETTINGS, 0, 0, settings) + frame(http2.WINDOW_UPDATE, 0, 0, more))

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(f"the plugin's connection was lost: {exc or 'it was closed'}")

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            for given in http2.frames(self._received):
                self._take(given)
        except (BrokenError, struct.error, IndexError) as error:
            self._lose(f"the plugin broke the protocol: {error}")
            self.close()

    def _lose(self, why: str) -> None:
        self._closed = True
        self._settle(ConnectionError(why))

    def _settle(self, outcome: bytes | Exception) -> None:
        if self._answer is None or self._answer.done():
            return
        if isinstance(outcome, Exception):
            self._answer.set_exception(outcome)
        else:
            self._answer.set_result(outcome)

    def _block_of(self, path: str) -> bytes:
        if path not in self._blocks:
            headers = {":method": "POST", ":scheme": self._scheme, ":path": path, ":authority": "localhost"}
            headers |= {"grpc-timeout": self._timeout, "te": "trailers", "content-type": "application/grpc"}
            self._blocks[path] = http2.request_block(headers)
        return self._blocks[path]

    def _send(self, before: bytes = b"") -> None:
        """Send `before`, and of the request what the peer's windows let through."""
        parts, at, size = [before], 0, len(self._unsent)
        while (length := min(size - at, self._frame_bytes, self._window, self._stream_window)) > 0:
            flags = http2.END_STREAM if at + length == size else 0
            parts += (http2.head(http2.DATA, flags, self._stream, length), self._unsent[at : at + length])
            at += length
            self._window -= length
            self._stream_window -= length
        if before or at:
            self._unsent = self._unsent[at:]
            self._write(b"".join(parts))

    def _write(self, data: bytes) -> None:
        assert self._transport is not None, "connected"
        if self._transport.get_write_buffer_size() > _MOST_UNREAD_BYTES:
            raise BrokenError("it asks and does not read the answers")
        self._transport.write(data)

    def _take(self, given: Frame) -> None:
        if self._header_blocks.is_open and given.kind != http2.CONTINUATION:
            raise BrokenError("headers without their end")
        take = _TAKERS.get(given.kind)
        if take is not None:  # what a later version adds is ignored (RFC 9113, 4.1)
            take(self, given)

    def _take_data(self, given: Frame) -> None:
        self._to_give_back += len(given.payload)
        if self._to_give_back >= _OUR_WINDOW // 2:
            self._write(frame(http2.WINDOW_UPDATE, 0, 0, number(self._to_give_back)))
            self._to_give_back = 0
        if given.stream != self._stream:  # of a call that was given up
            return
        self._body += http2.content(given)
        if len(self._body) > MOST_ANSWER_BYTES:
            raise BrokenError("an answer of more than a mebibyte")
        if given.flags & http2.END_STREAM:
            self._ended()

    def _take_headers(self, given: Frame) -> None:
        found = self._header_blocks.add(given)
        if found is not None and given.stream == self._stream:
            headers, ends = found
            self._headers.update(headers)
            if ends:
                self._ended()

    def _take_reset(self, given: Frame) -> None:
        if given.stream == self._stream:
            self._is_open = False
            code = struct.unpack(">I", given.payload)[0]
            self._settle(GRPCError(Status.UNAVAILABLE, f"the plugin ended the call (HTTP/2 error {code})"))

    def _take_settings(self, given: Frame) -> None:
        if given.flags & http2.ACK:
            return
        for name, value in struct.iter_unpack(">HI", given.payload):
            if name == http2.INITIAL_WINDOW:
                self._stream_window += value - self._stream_window_at_first
                self._stream_window_at_first = value
            elif name == http2.MAX_FRAME:
                self._frame_bytes = max(http2.FRAME_BYTES, value)
        self._write(frame(http2.SETTINGS, http2.ACK, 0, b""))
        self._send()

    def _take_ping(self, given: Frame) -> None:
        if not given.flags & http2.ACK:
            self._write(frame(http2.PING, http2.ACK, 0, given.payload))

    def _take_goaway(self, _: Frame) -> None:
        self._closed = True  # for the next call; the one under way is answered, or the connection is lost

    def _take_window(self, given: Frame) -> None:
        more = struct.unpack(">I", given.payload)[0] & http2.LAST_STREAM
        if given.stream == 0:
            self._window += more
        elif given.stream == self._stream:
            self._stream_window += more
        self._send()

    def _take_push(self, _: Frame) -> None:
        raise BrokenError("a push, which we said we do not take")

    def _ended(self) -> None:
        """The peer said all it has to say about the call."""
        self._is_open = False
        otherwise = b"" if self._headers.get(b":status") == _HTTP_OK else _UNAVAILABLE
        status = self._headers.get(b"grpc-status", otherwise)
        if status != b"0":
            known = Status.UNKNOWN
            with suppress(ValueError):  # a number gRPC does not have, or none
                known = Status(int(status))
            message = unquote(self._headers.get(b"grpc-message", b"").decode(errors="replace"))
            self._settle(GRPCError(known, message))
            return
        compressed, size = struct.unpack_from(">BI", self._body)
        if compressed or size != len(self._body) - 5:
            raise BrokenError("an answer that is not one uncompressed message")
        self._settle(bytes(self._body[5:]))


_TAKERS: dict[int, Callable[[EventLink, Frame], None]] = {
    http2.DATA: EventLink._take_data,
    http2.HEADERS: EventLink._take_headers,
    http2.RST_STREAM: EventLink._take_reset,
    http2.SETTINGS: EventLink._take_settings,
    http2.PUSH: EventLink._take_push,
    http2.PING: EventLink._take_ping,
    http2.GOAWAY: EventLink._take_goaway,
    http2.WINDOW_UPDATE: EventLink._take_window,
    http2.CONTINUATION: EventLink._take_headers,
}
