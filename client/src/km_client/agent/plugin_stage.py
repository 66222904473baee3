"""The supervisor of plugins, made when the first one is to run, and the configuration each of them has.

Loads gRPC. What a person changes of the sandbox's level holds from the next start of the first plugin on: see `close`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from km_plugin_sdk.wire import plugin_pb2
from km_protocol.envelope import Event

from km_client import paths
from km_client.plugins.discovery import PluginSpec
from km_client.plugins.sandbox.guarantees import Level
from km_client.plugins.settings import HostSettings
from km_client.plugins.status import PluginStatus
from km_client.plugins.supervisor import Instance, PluginSupervisor


class PluginStage:
    """Plugins by key. Its methods return at once, but for `close`."""

    def __init__(self, level: Level, clock: Callable[[], float] = time.time) -> None:
        settings = HostSettings(paths.plugin_state_dir(), paths.plugin_log_dir(), level)
        self.level = level
        self._supervisor = PluginSupervisor(settings, self._configure, clock=clock)
        self._configs: dict[str, plugin_pb2.PluginConfig] = {}

    def start(self, key: str, spec: PluginSpec, config: plugin_pb2.PluginConfig) -> None:
        self._configs[key] = config
        self._supervisor.start([Instance(key, spec)])

    def tell(self, key: str, config: plugin_pb2.PluginConfig) -> None:
        """Give it `config`, now and at every later start."""
        self._configs[key] = config
        self._supervisor.reconfigure([key])

    def offer(self, events: Sequence[Event], keys: Collection[str]) -> None:
        self._supervisor.offer(events, keys)

    def is_idle(self, key: str) -> bool:
        return self._supervisor.is_idle(key)

    def stop(self, key: str) -> None:
        self._supervisor.begin_stop([key])

    def forget(self, key: str) -> None:
        self._supervisor.forget(key)
        self._configs.pop(key, None)

    def statuses(self) -> dict[str, PluginStatus]:
        return {status.key: status for status in self._supervisor.status()}

    def close(self) -> None:
        """Stop all of them; none of their processes is left."""
        self._supervisor.stop()

    def _configure(self, key: str) -> plugin_pb2.PluginConfig:
        """On the supervisor's thread; a copy, since the host adds to it."""
        config = plugin_pb2.PluginConfig()
        config.CopyFrom(self._configs[key])
        return config
