"""All plugins of this machine, in one thread with one event loop.

    supervisor = PluginSupervisor(settings, configure)
    supervisor.start([Instance("tool-stats", discovery.find(path))])
    supervisor.offer(events)                       # from any thread; never waits
    supervisor.status()
    supervisor.begin_stop(["tool-stats"])          # returns at once; `stop` waits
    supervisor.stop()                              # two seconds for each plugin, all at once

A plugin is named by its instance's key, so that two copies of one plugin can run. The thread lives from the first
`start` to `stop`: the kernel ties the plugins' lives to the thread that spawned them.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

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


class Instance(NamedTuple):
    """One plugin to run. `key` is unique and safe as a file's name: its state and its log are kept under it."""

    key: str
    spec: PluginSpec


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

    def start(self, instances: Sequence[Instance]) -> None:
        """Begin to run each of them; returns before they are ready.

        One that runs already is left alone; one that is being stopped starts when its predecessor has ended.
        """
        self._call(self._start(instances))

    def offer(self, events: Iterable[Event], keys: Collection[str] | None = None) -> None:
        """Give `events`, in order, to these plugins (all of them without `keys`). Never waits."""
        hosts = self._chosen(keys)
        if not hosts:
            return
        pairs = [(message, message.ByteSize()) for message in map(from_envelope, events)]
        for host in hosts:
            host.offer(pairs)

    def reconfigure(self, keys: Collection[str] | None = None) -> None:
        """Features, tier or tokens changed: running plugins are told, or started anew. Returns at once."""
        for host in self._chosen(keys):
            self._post(host.reconfigure)

    def wait_for(self, key: str, *states: State, timeout: float) -> State:
        """The first of `states` that the plugin comes to. Raises `TimeoutError`."""
        return self._call(asyncio.wait_for(self._hosts[key].wait_for(*states), timeout))

    def status(self) -> list[PluginStatus]:
        """In the order in which they were started first; also those that ended, until `forget`."""
        return [host.status() for host in list(self._hosts.values())]

    def is_idle(self, key: str) -> bool:
        """Whether nothing waits and no batch is under way, or it takes no events any more."""
        host = self._hosts.get(key)
        return host is None or host.is_idle

    def begin_stop(self, keys: Collection[str] | None = None) -> None:
        """Ask these plugins to end and return at once; `status` says when they have."""
        for host in self._chosen(keys):
            self._post(host.stop)

    def stop(self, keys: Collection[str] | None = None) -> None:
        """Stop these plugins, or all of them and the thread. Afterwards none of their processes is left."""
        if self._thread is None or self._loop is None:
            return
        self._call(self._stop(keys))
        if keys is None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._thread = self._loop = None

    def forget(self, key: str) -> None:
        """Drop the plugin from `status`, at once or when it has ended. It is asked to."""
        if self._loop is None:
            self._hosts.pop(key, None)
            self._runs.pop(key, None)
        self.begin_stop([key])
        self._post(lambda: self._forget(key))

    def _chosen(self, keys: Collection[str] | None) -> list[PluginHost]:
        return [host for key, host in list(self._hosts.items()) if keys is None or key in keys]

    async def _start(self, instances: Sequence[Instance]) -> None:
        for instance in instances:
            run = self._runs.get(instance.key)
            if run is None or run.done() or self._hosts[instance.key].is_stopping:
                host = PluginHost(self._surroundings(instance), self._configure, self._monotonic)
                self._hosts[instance.key] = host
                name = f"plugin {instance.key}"
                self._runs[instance.key] = asyncio.create_task(_run_after(run, host), name=name)

    def _forget(self, key: str) -> None:
        host, run = self._hosts.get(key), self._runs.get(key)
        if host is None or run is None:
            return

        def drop(_: object) -> None:
            if self._hosts.get(key) is host:  # and not one that was started in its place meanwhile
                del self._hosts[key], self._runs[key]

        run.add_done_callback(drop)

    def _surroundings(self, instance: Instance) -> Surroundings:
        log = PluginLog(self._settings.log_dir / f"{instance.key}.log", self._clock)

        def tell(attempt: Attempt) -> None:
            log.note(f"refused {attempt.call} {attempt.target} ({attempt.refused})")

        return Surroundings(*instance, self._settings, self._kernel, log, AttemptLog(tell))

    async def _stop(self, keys: Collection[str] | None) -> None:
        chosen = [key for key in self._hosts if keys is None or key in keys]
        for key in chosen:
            self._hosts[key].stop()
        await asyncio.gather(*(self._runs[key] for key in chosen))
        if keys is None:
            await asyncio.get_running_loop().shutdown_default_executor()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            run_dirs.sweep(run_dirs.root(self._settings.run_root))
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="km-plugins", daemon=True)
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _post(self, action: Callable[[], None]) -> None:
        """Have `action` called in the plugins' thread, soon; without the thread there is nobody to act on."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(action)


async def _run_after(before: asyncio.Task[None] | None, host: PluginHost) -> None:
    if before is not None:
        await asyncio.wait((before,))
    await host.run()
