"""gRPC to one plugin over its unix socket, with the other end's identity checked by the kernel.

The directory is 0700 and ours; SO_PEERCRED (unix(7)) says which process listened. It must be of the plugin's group and
of our user, so a second local program cannot answer in the plugin's place.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import empty_pb2
from google.protobuf.message import DecodeError, Message
from grpclib.client import Channel, Handler, UnaryUnaryMethod
from grpclib.config import Configuration
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.health.v1.health_grpc import HealthStub
from grpclib.health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpclib.protocol import H2Protocol, Stream
from km_plugin_sdk.wire import go_plugin_pb2
from km_plugin_sdk.wire.go_plugin_grpc import GRPCControllerStub, GRPCStdioStub
from km_plugin_sdk.wire.plugin_grpc import KilometersPluginStub

from km_client.plugins.deadline import MARGIN_SECONDS, within
from km_client.plugins.errors import RefusedError

S = TypeVar("S", bound=Message)
R = TypeVar("R", bound=Message)
SERVER_NAME = "localhost"  # what go-plugin's certificates are made out to
HEALTH_SERVICE = "plugin"  # the name go-plugin registers
_CHANNELS = {go_plugin_pb2.StdioData.STDOUT: "stdout", go_plugin_pb2.StdioData.STDERR: "stderr"}
# The plugin is gone, or goes right now: what a call to it can end with.
DISCONNECTED = (OSError, StreamTerminatedError, ConnectionError)
MOST_ANSWER_BYTES = 1024 * 1024  # an answer counts events and describes a few failures; a chunk of output is 1 KiB
# What grpclib and protobuf raise for bytes that are no answer.
_NONSENSE = (DecodeError, NotImplementedError, AssertionError, struct.error)


class BadAnswerError(GRPCError):
    """What the plugin answered makes no sense, or is too much."""

    def __init__(self, why: str) -> None:
        super().__init__(Status.INTERNAL, f"its answer {why}")


class _Stream(Stream):
    """Does not read a message that the plugin says is longer than any should be; flow control bounds what is unread."""

    async def recv_data(self, size: int) -> bytes:
        if size > MOST_ANSWER_BYTES:
            raise BadAnswerError(f"has {size} bytes, and at most {MOST_ANSWER_BYTES} are read")
        return await super().recv_data(size)


class _Gathering(asyncio.Transport):
    """Hands what is written in one turn of the event loop to the kernel in one call.

    HTTP/2 sends a batch of events as frames of 16 KiB; one `send` for each of them was half of the host's time.
    """

    def __init__(self, inner: asyncio.Transport) -> None:
        super().__init__()
        self._inner = inner
        self._written: list[bytes] = []

    def write(self, data: Any) -> None:
        if not self._written:
            asyncio.get_running_loop().call_soon(self._flush)
        self._written.append(bytes(data))

    def _flush(self) -> None:
        if self._written:
            self._inner.write(b"".join(self._written))
            self._written.clear()

    def close(self) -> None:
        self._flush()
        self._inner.close()

    def is_closing(self) -> bool:
        return self._inner.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._inner.get_extra_info(name, default)


class _Protocol(H2Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "a stream"
        super().connection_made(_Gathering(transport))
        connection = self.connection

        def create_stream(**options: Any) -> Stream:
            return _Stream(connection, connection._connection, connection._transport, **options)

        connection.create_stream = create_stream  # type: ignore[method-assign]


class _OwnChannel(Channel):
    """A channel over a socket that was connected and checked already. It never reconnects: a lost plugin is a crash."""

    def __init__(self, connected: socket.socket, *, tls: ssl.SSLContext | None) -> None:
        config = Configuration(ssl_target_name_override=SERVER_NAME) if tls else None
        super().__init__(path="", ssl=tls, config=config)
        self._connected_socket = connected
        self._used = False

    def _protocol_factory(self) -> H2Protocol:
        return _Protocol(Handler(), self._config, self._h2_config)

    async def _create_connection(self) -> H2Protocol:
        if self._used:
            raise ConnectionError("the plugin closed its connection")
        self._used = True
        _, protocol = await asyncio.get_running_loop().create_unix_connection(
            self._protocol_factory,
            sock=self._connected_socket,
            ssl=self._ssl,
            server_hostname=SERVER_NAME if self._ssl else None,
        )
        return protocol


class Connection:
    """The services of one plugin."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.plugin = KilometersPluginStub(channel)
        self._controller = GRPCControllerStub(channel)
        self._stdio = GRPCStdioStub(channel)
        self._health = HealthStub(channel)

    @classmethod
    async def open(cls, address: Path, group: int, tls: ssl.SSLContext | None) -> Connection:
        """Raises `RefusedError` when somebody else listens there, `OSError` when nobody does."""
        connected = socket.socket(socket.AF_UNIX)
        connected.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connected, str(address))
            check_peer(connected, group)
        except BaseException:
            connected.close()
            raise
        return cls(_OwnChannel(connected, tls=tls))

    async def drain_output(self, receive: Callable[[str, bytes], None]) -> None:
        """Take what the plugin prints, as go-plugin streams it, until it ends. A plugin without the service is fine."""
        try:
            async with self._stdio.StreamStdio.open() as stream:
                await stream.send_message(empty_pb2.Empty(), end=True)
                async for chunk in stream:
                    receive(_CHANNELS.get(chunk.channel, "stdout"), chunk.data)
        except (GRPCError, *DISCONNECTED):
            return

    async def call(self, method: UnaryUnaryMethod[S, R], request: S, seconds: float) -> R:
        """The answer. Raises `TimeoutError`, `GRPCError` (`BadAnswerError` among them), or one of `DISCONNECTED`."""
        try:
            return await within(seconds, method(request, timeout=seconds + MARGIN_SECONDS))
        except _NONSENSE as error:
            raise BadAnswerError(f"makes no sense: {str(error) or type(error).__name__}") from None

    async def is_healthy(self, seconds: float) -> bool:
        try:
            answer = await self.call(self._health.Check, HealthCheckRequest(service=HEALTH_SERVICE), seconds)
        except (GRPCError, *DISCONNECTED):  # a TimeoutError is an OSError
            return False
        return bool(answer.status == HealthCheckResponse.SERVING)

    async def end(self, seconds: float) -> None:
        """go-plugin's last word. The plugin cuts the connection instead of answering, so any end of it is success."""
        try:
            await self.call(self._controller.Shutdown, go_plugin_pb2.Empty(), seconds)
        except (GRPCError, *DISCONNECTED):
            return

    def close(self) -> None:
        self._channel.close()


def check_peer(connected: socket.socket, group: int) -> None:
    """Raises `RefusedError` unless the listener is of our user and of the process group `group`."""
    if not hasattr(socket, "SO_PEERCRED"):  # macOS: the 0700 directory alone
        return
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", raw)
    try:
        found = os.getpgid(pid)
    except ProcessLookupError:
        found = -1
    if uid != os.getuid() or found != group:
        message = f"the plugin's socket belongs to process {pid} of user {uid}, which is not the plugin"
        raise RefusedError("handshake_peer", message, "look for a program that interferes")
