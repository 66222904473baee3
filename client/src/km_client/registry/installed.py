"""An active build as the agent may start it, each start checked anew; and what becomes of one that does not start.

spec = spec_of(directory, build, private=…)        a `PluginSpec` whose `before_start` compares every file
Installed(watch, directory, build).give_up(why)    go back to the build before it, where there is one that may run
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from km_client.plugins import discovery
from km_client.plugins.discovery import PluginSpec
from km_client.plugins.errors import RefusedError
from km_client.registry import activation, builds
from km_client.registry.builds import Build
from km_client.registry.locking import alone

if TYPE_CHECKING:
    from km_client.registry.watch import Watch

_LOCK_SECONDS = 0.0  # a refresh may be under way: it is tried again a second later
_log = logging.getLogger(__name__)


def spec_of(directory: Path, build: Build, *, private: tuple[Path, ...]) -> PluginSpec:
    """Raises `RefusedError` when it is not what was verified, or cannot run on this machine."""

    def recheck() -> None:
        builds.check(directory, build, now=datetime.now(UTC))

    recheck()
    spec = discovery.find(directory / builds.PLUGIN, private=private)
    if spec.name != build.name or str(spec.manifest.version) != build.version:
        message = f"{build.name} {build.version} says it is {spec.name} {spec.manifest.version}"
        raise RefusedError("plugin_tampered", message, "`km-client plugins refresh` fetches it again")
    hold = builds.hold(directory)
    return replace(spec, origin="registry", signed=True, hold=hold, before_start=recheck)


class Installed:
    """The build a plugin in the agent runs from."""

    def __init__(self, watch: Watch, directory: Path, build: Build) -> None:
        self.watch, self.build = watch, build
        self._plugin = directory.parent
        self.is_proved = activation.load(self._plugin).is_proved

    def is_superseded(self) -> bool:
        """Whether another build is the active one now."""
        current = activation.load(self._plugin).current
        return bool(current) and current != self.build.directory_name

    def prove(self) -> None:
        """It ran: from now on a failing start is its own trouble, no reason to go back. Raises `RegistryError`."""
        if not self.is_proved:
            with alone(self.watch.place.lock_file, wait_seconds=_LOCK_SECONDS):
                activation.prove(self._plugin, self.build.directory_name)
            self.is_proved = True

    def give_up(self, why: str) -> bool:
        """Whether another build is active now: the one before this one, if that may run. Raises `RegistryError`."""
        if self.is_superseded():
            return True
        with alone(self.watch.place.lock_file, wait_seconds=_LOCK_SECONDS):
            previous = activation.load(self._plugin).previous
            before = builds.read(self._plugin / previous) if previous else None
            if before is None or not self.watch.may_run(before):
                return False
            back = activation.roll_back(self._plugin, self.build.directory_name, why)
        _log.warning("plugin %s: back to %s, because %s: %s", self.build.name, back, self.build.directory_name, why)
        return bool(back)
