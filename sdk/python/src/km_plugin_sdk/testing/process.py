"""A plugin as its own process, started and spoken to as a host does.

    with PluginProcess([sys.executable, "main.py"]) as process:
        process.initialize(features=["console_logging"])
        process.feed(golden_events())
    assert process.exit_code == 0 and "git_log" in process.output

Any go-plugin plugin of the contract will do, in whatever language. A plugin without the batch call is fed one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from google.protobuf import empty_pb2
from grpclib.client import Channel
from grpclib.config import Configuration
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.health.v1.health_grpc import HealthStub
from grpclib.health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from km_plugin_sdk.events import StreamEvent, to_message
from km_plugin_sdk.mutual_tls import SERVER_NAME, client_context, make_identity
from km_plugin_sdk.serving import COOKIE_KEY, COOKIE_VALUE
from km_plugin_sdk.testing.harness import config_message
from km_plugin_sdk.wire import go_plugin_pb2, plugin_pb2
from km_plugin_sdk.wire.go_plugin_grpc import GRPCControllerStub, GRPCStdioStub
from km_plugin_sdk.wire.plugin_grpc import KilometersPluginStub

T = TypeVar("T")
READY_SECONDS = 20.0  # a cold start on a busy machine
CALL_SECONDS = 10.0
END_SECONDS = 5.0  # a host gives two; a busy machine running tests may need more


class PluginProcess:
    """`output` is what it printed on stdout, `errors` on stderr, `handshake` its first line in parts."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        tls: bool = False,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.command, self.cwd = list(command), cwd
        self.output = self.errors = ""
        self.handshake: list[str] = []
        self.exit_code: int | None = None
        self._identity = make_identity(now=datetime.now(UTC)) if tls else None
        self._env = dict(env or {})
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="km-plugin-")
        self._thread = threading.Thread(target=self._loop.run_forever, name="plugin-process", daemon=True)
        self._thread.start()
        self.process = subprocess.Popen(
            self.command,
            cwd=self.cwd,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._readers = ThreadPoolExecutor(2)
        self._errors = self._readers.submit(self.process.stderr.read)  # type: ignore[union-attr]
        try:
            self._connect()
        except BaseException:
            self._end(kill=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(kill=kind is not None)

    # --- the contract ------------------------------------------------------------------------------------------------

    def initialize(self, plugin_name: str = "plugin", **given: Any) -> plugin_pb2.InitializeResponse:
        """Takes what `km_plugin_sdk.testing.harness.config_message` takes."""
        request = plugin_pb2.InitializeRequest(config=config_message(plugin_name, **given))
        return self._run(self._stub.Initialize(request, timeout=CALL_SECONDS))

    def update_config(self, plugin_name: str = "plugin", **given: Any) -> plugin_pb2.UpdateConfigResponse:
        request = plugin_pb2.UpdateConfigRequest(config=config_message(plugin_name, **given))
        return self._run(self._stub.UpdateConfig(request, timeout=CALL_SECONDS))

    def handle(self, event: StreamEvent, *, timeout: float = CALL_SECONDS) -> plugin_pb2.HandleStreamEventResponse:
        request = plugin_pb2.HandleStreamEventRequest(event=to_message(event))
        return self._run(self._stub.HandleStreamEvent(request, timeout=timeout))

    def feed(self, events: Sequence[StreamEvent], *, batch: int = 64) -> int:
        """Hand over all events; returns how many failed."""
        failed = 0
        for start in range(0, len(events), batch):
            failed += self._feed_part(events[start : start + batch])
        return failed

    def info(self) -> plugin_pb2.GetInfoResponse:
        return self._run(self._stub.GetInfo(plugin_pb2.GetInfoRequest(), timeout=CALL_SECONDS))

    def is_healthy(self, *, timeout: float = 2.0) -> bool:
        """go-plugin's own question."""
        request = HealthCheckRequest(service="plugin")
        answer = self._run(HealthStub(self._channel).Check(request, timeout=timeout))
        return bool(answer.status == HealthCheckResponse.SERVING)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _feed_part(self, events: Sequence[StreamEvent]) -> int:
        request = plugin_pb2.HandleStreamEventsRequest(events=[to_message(event) for event in events])
        try:
            return int(self._run(self._stub.HandleStreamEvents(request, timeout=CALL_SECONDS)).failed)
        except GRPCError as error:
            if error.status is not Status.UNIMPLEMENTED:
                raise
        return sum(not self.handle(event).success for event in events)

    def _environment(self) -> dict[str, str]:
        own = {
            COOKIE_KEY: COOKIE_VALUE,
            "PLUGIN_PROTOCOL_VERSIONS": "1",
            "PLUGIN_UNIX_SOCKET_DIR": self._directory.name,
            "TMPDIR": self._directory.name,
            "PATH": os.environ.get("PATH", os.defpath),
        }
        if self._identity is not None:
            own["PLUGIN_CLIENT_CERT"] = self._identity.certificate.decode()
        return own | self._env

    def _connect(self) -> None:
        line = self._readers.submit(self.process.stdout.readline).result(READY_SECONDS)  # type: ignore[union-attr]
        self.handshake = line.decode(errors="replace").rstrip("\n").split("|")
        if len(self.handshake) < 5 or self.handshake[2] != "unix":
            raise RuntimeError(f"not a handshake line: {line!r}; stderr: {self._stop_and_read_errors()}")
        self._rest = self._readers.submit(self.process.stdout.read)  # type: ignore[union-attr]
        self._channel = self._run(self._open(self.handshake[3], self._context()))
        self._stub = KilometersPluginStub(self._channel)
        self._stdio = asyncio.run_coroutine_threadsafe(self._listen(), self._loop)

    def _context(self) -> ssl.SSLContext | None:
        return client_context(self.handshake[5], self._identity) if self._identity is not None else None

    async def _open(self, path: str, context: ssl.SSLContext | None) -> Channel:
        return Channel(path=path, ssl=context, config=Configuration(ssl_target_name_override=SERVER_NAME))

    async def _listen(self) -> None:
        """Collect what the plugin prints until the connection ends, which is how it always ends."""
        with contextlib.suppress(GRPCError, StreamTerminatedError, OSError, asyncio.CancelledError):
            async with GRPCStdioStub(self._channel).StreamStdio.open() as stream:
                await stream.send_message(empty_pb2.Empty(), end=True)
                async for data in stream:
                    self.output += data.data.decode(errors="replace")

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(READY_SECONDS + CALL_SECONDS)

    def _end(self, *, kill: bool) -> None:
        if not kill and self.process.poll() is None:
            self._run(self._ask_to_end())
        try:
            self.exit_code = self.process.wait(0 if kill else END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.exit_code = self.process.wait()
        self.errors = self._errors.result().decode(errors="replace")
        if hasattr(self, "_channel"):
            self._run(self._close())
        self._readers.shutdown()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._directory.cleanup()

    async def _ask_to_end(self) -> None:
        """Our Shutdown, then go-plugin's, which may cut the connection before it is answered: that is success."""
        controller = GRPCControllerStub(self._channel)
        for call in (
            lambda: self._stub.Shutdown(plugin_pb2.ShutdownRequest(), timeout=END_SECONDS),
            lambda: controller.Shutdown(go_plugin_pb2.Empty(), timeout=END_SECONDS),
        ):
            with contextlib.suppress(GRPCError, StreamTerminatedError, OSError):
                await call()

    async def _close(self) -> None:
        task = asyncio.wrap_future(self._stdio)
        await asyncio.wait([task], timeout=1.0)
        self._stdio.cancel()
        self._channel.close()

    def _stop_and_read_errors(self) -> str:
        self.process.kill()
        errors: bytes = self._errors.result(END_SECONDS)
        return errors.decode(errors="replace")
