"""One connection: bytes that came, bytes that go, and the moment it is lost. An asyncio protocol, awaited.

    data = await wire.receive()        what has come since, at least one byte; `b""` at the end
    wire.send(data); await wire.flushed()
    wire.on_lost = task.cancel         called at once when the peer is gone, even while nobody receives

At most `ROOM_BYTES` and one read wait in memory for a receiver; then the peer feels it. A peer that closes its side is
gone: in HTTP nothing it still could say is of use (RFC 9112 §9.6).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable

ROOM_BYTES = 256 * 1024
UNSENT_BYTES = 256 * 1024  # from here on the sender waits
NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # close with a reset


class Wire(asyncio.Protocol):
    """`is_lost` says that nothing can be sent any more; what had come before can still be received."""

    def __init__(self, opened: Callable[[Wire], None] | None = None) -> None:
        self.transport: asyncio.Transport
        self.is_lost = False
        self.error: Exception | None = None
        self.on_lost: Callable[[], object] | None = None
        self._opened = opened
        self._came: list[bytes] = []
        self._size = 0
        self._is_full = self._is_stuck = False
        self._receiver: asyncio.Future[None] | None = None
        self._senders: list[asyncio.Future[None]] = []

    async def receive(self) -> bytes:
        """What came, or `b""` when the peer is gone. Raises `ConnectionError` when it was torn rather than closed."""
        if not self._came and not self.is_lost:
            self._receiver = asyncio.get_running_loop().create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None
        if not self._came and self.error:
            raise ConnectionResetError(str(self.error) or "the connection was reset") from self.error
        data = self._came[0] if len(self._came) == 1 else b"".join(self._came)
        self._came, self._size = [], 0
        if self._is_full and not self.is_lost:
            self._is_full = False
            self.transport.resume_reading()
        return data

    def put_back(self, data: bytes) -> None:
        """Receive `data` once more: it belongs to what comes next."""
        if data:
            self._came.insert(0, data)
            self._size += len(data)

    def has_more(self) -> bool:
        return bool(self._came)

    def send(self, data: bytes) -> None:
        if not self.is_lost:
            self.transport.write(data)

    async def flushed(self) -> None:
        """Until the peer has taken enough for more to be sent. Raises `ConnectionError` if it is gone."""
        if self._is_stuck and not self.is_lost:
            waiter = asyncio.get_running_loop().create_future()
            self._senders.append(waiter)
            await waiter
        if self.is_lost:
            raise ConnectionResetError("the peer is gone")

    def close(self) -> None:
        """After what was sent has gone out."""
        self.on_lost = None
        if not self.is_lost:
            self.transport.close()

    def abort(self) -> None:
        """Now, so that the peer sees a reset rather than an end: it cannot take what it has for the whole."""
        self.on_lost = None
        if not self.is_lost:
            with contextlib.suppress(OSError, AttributeError):  # closed just now; or no socket, in a test
                self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=UNSENT_BYTES)
        if self._opened:
            self._opened(self)

    def data_received(self, data: bytes) -> None:
        self._came.append(data)
        self._size += len(data)
        if self._size > ROOM_BYTES and not self._is_full:
            self._is_full = True
            self.transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost, self.error = True, exc
        self._wake()
        self.resume_writing()
        if self.on_lost:
            self.on_lost()

    def pause_writing(self) -> None:
        self._is_stuck = True

    def resume_writing(self) -> None:
        self._is_stuck = False
        senders, self._senders = self._senders, []
        for waiter in senders:
            if not waiter.done():
                waiter.set_result(None)

    def _wake(self) -> None:
        if self._receiver and not self._receiver.done():
            self._receiver.set_result(None)
