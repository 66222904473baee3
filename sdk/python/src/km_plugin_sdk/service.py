"""The calls a host makes, answered: our contract's six, go-plugin's own two, and the standard health check.

The author's code runs on the handler thread; this file stays on the event loop, so health is answered while a handler
is busy or hangs. No exception of the author's leaves a call as a gRPC error: it is the response's `error`.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import time
from typing import Any

from google.protobuf import empty_pb2
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.health.v1.health_grpc import HealthBase
from grpclib.health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpclib.server import Stream

from km_plugin_sdk.admission import OwnManifest, admit, sentence, without_rights
from km_plugin_sdk.events import from_message
from km_plugin_sdk.handler_thread import HandlerThread
from km_plugin_sdk.output import Output
from km_plugin_sdk.plugin import Plugin
from km_plugin_sdk.version import __version__
from km_plugin_sdk.wire import go_plugin_pb2, plugin_pb2
from km_plugin_sdk.wire.go_plugin_grpc import GRPCControllerBase, GRPCStdioBase
from km_plugin_sdk.wire.plugin_grpc import KilometersPluginBase

_LOG = logging.getLogger(__name__)
SHUTDOWN_SECONDS = 1.0  # of the two the host gives: the rest is for leaving
LISTED_FAILURES = 16  # of a batch: enough to see a pattern, little enough for a log line
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


class PluginService(KilometersPluginBase):
    """One plugin behind the contract. `handled` and `failed` count events."""

    def __init__(self, plugin: Plugin, manifest: OwnManifest) -> None:
        self.plugin, self.manifest = plugin, manifest
        self.handled = self.failed = 0
        self.is_initialized = self.is_shut_down = False
        self._thread = HandlerThread()

    async def Initialize(self, stream: Stream[Any, Any]) -> None:
        request = await _request(stream)
        error = await self._outcome(lambda: self._configure(request.config, first=True))
        await stream.send_message(plugin_pb2.InitializeResponse(success=not error, error=error))

    async def UpdateConfig(self, stream: Stream[Any, Any]) -> None:
        request = await _request(stream)
        self._must_be_initialized()
        error = await self._outcome(lambda: self._configure(request.config, first=False))
        await stream.send_message(plugin_pb2.UpdateConfigResponse(success=not error, error=error))

    async def HandleStreamEvent(self, stream: Stream[Any, Any]) -> None:
        request = await _request(stream)
        self._must_be_initialized()
        error = await self._outcome(lambda: self.plugin.handle_stream_event(from_message(request.event)))
        self._count(1, 1 if error else 0)
        await stream.send_message(plugin_pb2.HandleStreamEventResponse(success=not error, error=error))

    async def HandleStreamEvents(self, stream: Stream[Any, Any]) -> None:
        request = await _request(stream)
        self._must_be_initialized()
        response = await self._thread.run(lambda: self._handle_all(request.events))
        self._count(len(request.events), response.failed)
        await stream.send_message(response)

    async def GetInfo(self, stream: Stream[Any, Any]) -> None:
        await _request(stream)
        runtime = f"{platform.python_implementation()} {platform.python_version()}"
        response = plugin_pb2.GetInfoResponse(
            name=self.manifest.name,
            version=self.manifest.version,
            sdk=f"python/{__version__}",
            runtime=runtime,
            handled=self.handled,
            failed=self.failed,
        )
        await stream.send_message(response)

    async def Shutdown(self, stream: Stream[Any, Any]) -> None:
        await _request(stream)
        error = await self.shut_down()
        await stream.send_message(plugin_pb2.ShutdownResponse(success=not error, error=error))

    async def shut_down(self) -> str:
        """The plugin's `shutdown`, once, after every event before it; returns what went wrong, or ""."""
        if self.is_shut_down or not self.is_initialized:
            return ""
        self.is_shut_down = True
        try:
            return await asyncio.wait_for(self._outcome(self.plugin.shutdown), SHUTDOWN_SECONDS)
        except TimeoutError:
            return f"the plugin was still busy after {SHUTDOWN_SECONDS:g} s"

    async def _outcome(self, function: Any) -> str:
        try:
            await self._thread.run(function)
        except Exception as error:  # noqa: BLE001 - the author's code may raise anything
            _LOG.warning("%s", sentence(error), exc_info=_LOG.isEnabledFor(logging.DEBUG))
            return sentence(error)
        return ""

    def _configure(self, message: plugin_pb2.PluginConfig, *, first: bool) -> None:
        try:
            config = admit(message, self.manifest, at=time.time())
        except Exception:
            if not first:  # what it was granted before does not hold any more
                self.plugin.config = without_rights(self.plugin.config)
                self.plugin.update_config(self.plugin.config)
            raise
        level = "debug" if config.debug else config.log_level.lower()
        logging.getLogger().setLevel(_LEVELS.get(level, logging.INFO))
        self.plugin.config = config
        if first:
            self.plugin.initialize(config)
            self.is_initialized = True
        else:
            self.plugin.update_config(config)

    def _handle_all(self, events: Any) -> plugin_pb2.HandleStreamEventsResponse:
        try:
            failures = self.plugin.handle_stream_events([from_message(event) for event in events])
        except Exception as error:  # noqa: BLE001 - an overridden batch handler may raise for the whole
            failures = [(index, error) for index in range(len(events))]
        first = sentence(failures[0][1]) if failures else ""
        if failures:
            _LOG.warning("%d of %d events failed; the first: %s", len(failures), len(events), first)
        listed = [plugin_pb2.EventFailure(index=at, error=sentence(error)) for at, error in failures[:LISTED_FAILURES]]
        return plugin_pb2.HandleStreamEventsResponse(
            success=not failures,
            error=first,
            handled=len(events) - len(failures),
            failed=len(failures),
            failures=listed,
        )

    def _count(self, events: int, failed: int) -> None:
        self.handled += events - failed
        self.failed += failed

    def _must_be_initialized(self) -> None:
        if not self.is_initialized:
            raise GRPCError(Status.FAILED_PRECONDITION, "Initialize has not succeeded yet")


class Controller(GRPCControllerBase):
    """go-plugin's last word. `asked` is set when the host wants the process to end."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def Shutdown(self, stream: Stream[Any, Any]) -> None:
        await _request(stream)
        await stream.send_message(go_plugin_pb2.Empty())
        self.asked.set()


class Stdio(GRPCStdioBase):
    """What the plugin printed on stdout, until it ends."""

    def __init__(self, output: Output) -> None:
        self._output = output

    async def StreamStdio(self, stream: Stream[empty_pb2.Empty, go_plugin_pb2.StdioData]) -> None:
        await _request(stream)
        while True:
            data = await self._output.next()
            await stream.send_message(go_plugin_pb2.StdioData(channel=go_plugin_pb2.StdioData.STDOUT, data=data))


class Health(HealthBase):
    """Serving, for as long as the event loop answers; go-plugin asks for the service `plugin`."""

    async def Check(self, stream: Stream[HealthCheckRequest, HealthCheckResponse]) -> None:
        await _request(stream)
        await stream.send_message(HealthCheckResponse(status=HealthCheckResponse.SERVING))

    async def Watch(self, stream: Stream[HealthCheckRequest, HealthCheckResponse]) -> None:
        await _request(stream)
        await stream.send_message(HealthCheckResponse(status=HealthCheckResponse.SERVING))
        await asyncio.Event().wait()  # the status never changes; the call ends with the connection


async def _request(stream: Stream[Any, Any]) -> Any:
    request = await stream.recv_message()
    if request is None:
        raise GRPCError(Status.INVALID_ARGUMENT, "the call carried no request")
    return request
