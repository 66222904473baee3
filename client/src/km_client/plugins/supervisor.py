"""All plugins of this machine, in one thread with one event loop.

    supervisor = PluginSupervisor(settings, configure)
    supervisor.start([discovery.find(path)])
    supervisor.offer(events)                       # from any thread; never waits
    supervisor.status()
    supervisor.stop()                              # two seconds for each plugin, all at once

The thread lives from the first `start` to `stop`: the kernel ties the plugins' lives to the thread that spawned them.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from km_protocol.envelope import Event

from km_client.plugins import run_dirs
from km_client.plugins.confinement import Surroundings
from km_client.plugins.discovery import PluginSpec
from km_client.plugins.host import Configure, PluginHost
from km_client.plugins.lifecycle import State
from km_client.plugins.logs import PluginLog
from km_client.plugins.sandbox.attempts import Attempt, AttemptLog
from km_client.plugins.sandbox.kernel import Kernel, probe
from km_client.plugins.settings import HostSettings
from km_client.plugins.status import PluginStatus
from km_client.plugins.stream_events import from_envelope

T = TypeVar("T")
_STOP_MARGIN_SECONDS = 5.0  # beyond the plugins' own two: killing, reaping, removing directories


class PluginSupervisor:
    """Safe to use from any thread. `kernel`, `monotonic` and `clock` (Unix seconds) are this machine's unless given."""

    def __init__(
        self,
        settings: HostSettings,
        configure: Configure,
        *,
        kernel: Kernel | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._configure = settings, configure
        self._kernel = kernel or probe()
        self._monotonic, self._clock = monotonic, clock
        self._hosts: dict[str, PluginHost] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, specs: Sequence[PluginSpec]) -> None:
        """Begin to run each of them; one that runs already is left alone. Returns before they are ready."""
        self._call(self._start(specs))

    def offer(self, events: Iterable[Event], plugins: Collection[str] | None = None) -> None:
        """Give `events`, in order, to the plugins named (all of them without names). Never waits."""
        hosts = [host for name, host in list(self._hosts.items()) if plugins is None or name in plugins]
        if not hosts:
            return
        pairs = [(message, message.ByteSize()) for message in map(from_envelope, events)]
        for host in hosts:
            host.offer(pairs)

    def reconfigure(self) -> None:
        """Features, tier or tokens changed: every running plugin is told, or started anew."""
        self._call(self._reconfigure())

    def wait_for(self, name: str, *states: State, timeout: float) -> State:
        """The first of `states` that the plugin comes to. Raises `TimeoutError`."""
        return self._call(asyncio.wait_for(self._hosts[name].wait_for(*states), timeout))

    def status(self) -> list[PluginStatus]:
        """In the order in which they were started."""
        return [host.status() for host in list(self._hosts.values())]

    def stop(self, names: Collection[str] | None = None) -> None:
        """Stop the plugins named, or all of them and the thread. Afterwards none of their processes is left."""
        if self._thread is None or self._loop is None:
            return
        self._call(self._stop(names))
        if names is None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._thread = self._loop = None

    async def _start(self, specs: Sequence[PluginSpec]) -> None:
        for spec in specs:
            run = self._runs.get(spec.name)
            if run is None or run.done():
                host = self._hosts[spec.name] = PluginHost(self._surroundings(spec), self._configure, self._monotonic)
                self._runs[spec.name] = asyncio.create_task(host.run(), name=f"plugin {spec.name}")

    def _surroundings(self, spec: PluginSpec) -> Surroundings:
        log = PluginLog(self._settings.log_dir / f"{spec.name}.log", self._clock)

        def tell(attempt: Attempt) -> None:
            log.note(f"refused {attempt.call} {attempt.target} ({attempt.refused})")

        return Surroundings(spec, self._settings, self._kernel, log, AttemptLog(tell))

    async def _reconfigure(self) -> None:
        await asyncio.gather(*(host.reconfigure() for host in self._hosts.values()))

    async def _stop(self, names: Collection[str] | None) -> None:
        chosen = [name for name in self._hosts if names is None or name in names]
        for name in chosen:
            await self._hosts[name].stop()
        await asyncio.gather(*(self._runs[name] for name in chosen))
        if names is None:
            await asyncio.get_running_loop().shutdown_default_executor()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            run_dirs.sweep(run_dirs.root(self._settings.run_root))
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="km-plugins", daemon=True)
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
