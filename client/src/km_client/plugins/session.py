"""One run of one plugin's process: sandboxed start, handshake, connection, orderly end.

start:  launcher → plan → exec → handshake line → socket → peer check → health → Initialize
end:    Shutdown → go-plugin's Shutdown → kill the group; two seconds for all of it
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from grpclib.exceptions import GRPCError
from km_plugin_sdk.wire import plugin_pb2

from km_client.plugins import handshake, run_dirs
from km_client.plugins.confinement import Confinement, Surroundings
from km_client.plugins.connection import DISCONNECTED, Connection
from km_client.plugins.deadline import within
from km_client.plugins.errors import CrashError, RefusedError
from km_client.plugins.output import PluginOutput
from km_client.plugins.process import PluginProcess

if TYPE_CHECKING:
    from km_client.plugins.mutual_tls import Identity

EXIT_GRACE_SECONDS = 0.5  # a connection is lost a little before the process that held it is gone


class Session:
    """Made, started and closed once, all in the host's event loop. `close` must be called however `start` ended."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._run_dir = run_dirs.make(run_dirs.root(around.settings.run_root))
        self.confinement = Confinement(around, self._run_dir)
        reader = handshake.HandshakeReader(self.confinement.socket_dir, mutual_tls=around.spec.mutual_tls)
        self._output = PluginOutput(reader, around.log)
        self._streamed: asyncio.Task[None] | None = None
        self._process: PluginProcess | None = None
        self._connection: Connection | None = None
        self._is_initialized = False
        self.deadlines = around.settings.deadlines

    @property
    def process(self) -> PluginProcess:
        assert self._process is not None, "only after start"
        return self._process

    @property
    def connection(self) -> Connection:
        assert self._connection is not None, "only after start"
        return self._connection

    async def start(self, config: plugin_pb2.PluginConfig) -> None:
        """Raises `CrashError` (worth another try) or `RefusedError`."""
        self.confinement.promise()
        deadlines = self.deadlines
        try:
            await within(deadlines.start, self._become_ready())
        except TimeoutError:
            hint = "print the handshake line first, then do what takes long"
            raise CrashError("start_timeout", f"the plugin was not ready in {deadlines.start:g} s", hint) from None
        await self._initialize(config, deadlines.initialize)

    async def _become_ready(self) -> None:
        identity = await asyncio.to_thread(_new_identity) if self._around.spec.mutual_tls else None
        process = self._process = PluginProcess.start()
        await process.drain("stderr", self._output.receive)
        await process.drain("stdout", self._output.receive)
        await self.confinement.launch(process, self._environment(identity.pem.decode() if identity else ""))
        greeting = await self._greeting(process)
        context = identity.context(greeting.certificate) if identity else None
        try:
            connection = self._connection = await Connection.open(greeting.address, process.pid, context)
        except (OSError, ssl.SSLError) as error:
            raise CrashError("connect_failed", f"the plugin's socket cannot be reached: {error}") from None
        self._streamed = asyncio.create_task(connection.drain_output(self._around.log.feed))
        if not await connection.is_healthy(self.deadlines.start):
            raise await self.lost("the plugin does not answer health checks")

    async def _greeting(self, process: PluginProcess) -> handshake.Handshake:
        greeted = self._output.greeted
        await asyncio.wait((greeted, process.exited), return_when=asyncio.FIRST_COMPLETED)
        if not greeted.done():
            await asyncio.wait((greeted,), timeout=EXIT_GRACE_SECONDS / 10)  # its last output may still be in the pipe
        if greeted.done():
            return greeted.result()
        raise handshake.exited_early(process.exited.result(), self._output.stderr_tail)

    def _environment(self, certificate: str) -> dict[str, str]:
        """All of it: nothing of the user's environment, which may hold any secret, reaches a plugin."""
        environment = {
            handshake.COOKIE_KEY: handshake.COOKIE_VALUE,
            "PLUGIN_PROTOCOL_VERSIONS": handshake.PROTOCOL,
            "PLUGIN_UNIX_SOCKET_DIR": str(self.confinement.socket_dir),
            "TMPDIR": str(self.confinement.socket_dir),
            "HOME": str(self._around.state_dir()),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }
        return environment | ({"PLUGIN_CLIENT_CERT": certificate} if certificate else {})

    async def _initialize(self, config: plugin_pb2.PluginConfig, seconds: float) -> None:
        request = plugin_pb2.InitializeRequest(config=self.complete(config))
        try:
            answer = await self.connection.call(self.connection.plugin.Initialize, request, seconds)
        except GRPCError as error:
            raise RefusedError("initialize_failed", f"the plugin refused its configuration: {error.message}") from None
        except TimeoutError:
            raise CrashError("initialize_timeout", f"the plugin's Initialize took longer than {seconds:g} s") from None
        except DISCONNECTED:
            raise await self.lost("the plugin closed its connection during Initialize") from None
        if not answer.success:
            raise RefusedError("initialize_refused", f"the plugin refused its configuration: {answer.error}")
        self._is_initialized = True

    def complete(self, config: plugin_pb2.PluginConfig) -> plugin_pb2.PluginConfig:
        """`config` with what only the host knows."""
        config.plugin_name = self._around.spec.name
        config.state_dir = str(self._around.state_dir())
        return config

    async def lost(self, otherwise: str) -> CrashError:
        """Why the process ended, given a moment to do so; `otherwise` when it has not."""
        await asyncio.wait((self.process.exited,), timeout=EXIT_GRACE_SECONDS)
        if not self.process.exited.done():
            return CrashError("not_answering", otherwise)
        code = self.process.exited.result()
        how = f"exited with code {code}" if code >= 0 else f"was ended by signal {-code}"
        return CrashError("exited", f"the plugin {how}", "see its log")

    async def close(self) -> None:
        """Orderly while the plugin answers, then by force. Afterwards no process, thread or file of it is left."""
        process, connection = self._process, self._connection
        if process and connection and self._is_initialized and not process.exited.done():
            await self._ask_to_end(process, connection)
        if connection:
            connection.close()
        if process:
            await process.end()
        if self._streamed:
            self._streamed.cancel()
            await asyncio.wait((self._streamed,))
        if self._output.greeted.done() and not self._output.greeted.cancelled():
            self._output.greeted.exception()  # it was reported, or something else was first
        await self.confinement.end()
        shutil.rmtree(self._run_dir, ignore_errors=True)

    async def _ask_to_end(self, process: PluginProcess, connection: Connection) -> None:
        seconds = self.deadlines.stop
        try:
            await within(seconds, self._take_leave(process, connection, seconds))
        except TimeoutError:
            self._around.log.note(f"the plugin did not end within {seconds:g} s and was killed")

    async def _take_leave(self, process: PluginProcess, connection: Connection, seconds: float) -> None:
        try:
            answer = await connection.call(connection.plugin.Shutdown, plugin_pb2.ShutdownRequest(), seconds)
            failure = "" if answer.success else answer.error
        except (GRPCError, *DISCONNECTED) as error:
            failure = str(error)
        if failure:
            self._around.log.note(f"Shutdown failed: {failure}")
        await connection.end(seconds)
        await asyncio.shield(process.exited)


def _new_identity() -> Identity:
    from km_client.plugins.mutual_tls import Identity  # noqa: PLC0415 - `cryptography` takes 50 ms, and few ask for it

    return Identity(datetime.now(UTC))
