"""The sandbox of one start of one plugin: what it must hold to, how it is put up, what was refused.

confinement.promise()                       before anything runs: can this kernel do it?
await confinement.launch(process, …)        the launcher applies it and becomes the plugin
confinement.guarantees                      what holds now
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from km_client.plugins.discovery import PluginSpec
from km_client.plugins.errors import RefusedError
from km_client.plugins.logs import PluginLog
from km_client.plugins.process import PluginProcess
from km_client.plugins.sandbox.attempts import AttemptLog
from km_client.plugins.sandbox.calls import rules
from km_client.plugins.sandbox.files import Places, file_rules
from km_client.plugins.sandbox.guarantees import Guarantee, after_launch, promised
from km_client.plugins.sandbox.kernel import Kernel
from km_client.plugins.sandbox.notifier import Notifier
from km_client.plugins.sandbox.plan import Policy, Program, plan
from km_client.plugins.settings import HostSettings

_NOTIFIER_JOIN_SECONDS = 2.0  # it ends by itself with the plugin's last thread


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every start of one plugin shares. `key` names this instance of it, also on disk."""

    key: str
    spec: PluginSpec
    settings: HostSettings
    kernel: Kernel
    log: PluginLog
    attempts: AttemptLog

    def state_dir(self) -> Path:
        """The one directory the plugin may write to; made when it is not there."""
        path = self.settings.state_root / self.key
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path.resolve()


class Confinement:
    """Made once for each start. `run_dir` holds the socket directory `s` and the mount point `root`."""

    def __init__(self, around: Surroundings, run_dir: Path) -> None:
        self._around = around
        self.socket_dir = run_dir / "s"
        self._root_dir = run_dir / "root"
        self._policy = Policy(around.spec.permissions, around.settings.level, around.settings.memory_bytes)
        self._notifier: Notifier | None = None
        self.guarantees: list[Guarantee] = promised(around.spec.permissions, around.kernel, around.settings.level)

    def promise(self) -> None:
        """Raises `RefusedError` when the level is strict and this kernel lacks something."""
        if os.name == "nt":
            message = "plugins need unix sockets and process groups, which this version has no Windows code for"
            raise RefusedError(
                "platform_unsupported", message, "use Linux or macOS; monitoring works here without them"
            )
        missing = sorted({row.missing for row in self.guarantees if not row.enforced})
        if self._policy.level == "strict" and missing:
            raise RefusedError(
                "sandbox_missing",
                f"this machine cannot enforce the plugin's permissions: it lacks {'; '.join(missing)}",
                "`sandbox = best-effort` starts the plugin with what this machine can enforce",
            )

    async def launch(self, process: PluginProcess, environment: Mapping[str, str]) -> None:
        """Returns when the plugin's own program runs. Raises `RefusedError` with what could not be done."""
        self.socket_dir.mkdir(mode=0o700)
        self._root_dir.mkdir(mode=0o700)
        spec = self._around.spec
        places = Places(spec.own, self.socket_dir, self._root_dir, self._around.state_dir(), spec.runs, spec.reads)
        python = asdict(spec.python) if spec.python else None
        program = Program(str(spec.program), spec.arguments, environment, str(self.socket_dir), python)
        orders = plan(program, self._policy, places, self._around.kernel, host_pid=os.getpid(), pid=process.pid)
        launched = await process.launch(orders, lambda listener: self._listen(listener, places, process.pid))
        self.guarantees = after_launch(self.guarantees, launched.failed)

    def _listen(self, listener: int, places: Places, pid: int) -> None:
        self._notifier = Notifier(
            listener,
            rules(self._policy.permissions, self._around.kernel, pid=pid, executes=self._around.spec.python is None),
            file_rules(self._policy.permissions, places),
            self._around.attempts,
            architecture=self._around.kernel.architecture,
            host_pid=os.getpid(),
            name=self._around.spec.name,
        )
        self._notifier.start()

    async def end(self) -> None:
        """After the plugin's processes are gone."""
        if self._notifier is not None and not await asyncio.to_thread(self._notifier.join, _NOTIFIER_JOIN_SECONDS):
            self._around.log.note("the thread that answers refused calls is still waiting")
