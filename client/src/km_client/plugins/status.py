"""What a person, or a script, is told about a plugin: `plugins list`, `plugins inspect`, `status`, `doctor`.

tool-stats 1.0.0   running   12 handled, 0 failed, 3 dropped (queue_full)
declared   network: no, filesystem: no, system: no
enforced   opens only its own files and its runtime's … (Landlock)
attempted  connect 203.0.113.7:443, 3 times
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from km_protocol.kmpkg.manifest import Permissions

from km_client.plugins.errors import PluginError
from km_client.plugins.lifecycle import State
from km_client.plugins.sandbox.attempts import Attempt
from km_client.plugins.sandbox.guarantees import Guarantee, Level


@dataclass(frozen=True, slots=True)
class Trouble:
    """The last thing that went wrong."""

    code: str
    message: str
    hint: str = ""

    @classmethod
    def of(cls, error: PluginError) -> Trouble:
        return cls(error.code, str(error), error.hint)


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """One plugin at one moment. `dropped` by reason; `retry_in_seconds` while it waits to be started again."""

    key: str
    name: str
    version: str
    path: str
    state: State
    pid: int | None
    crashes: int
    retry_in_seconds: float | None
    trouble: Trouble | None
    handled: int
    failed: int
    waiting: int
    dropped: Mapping[str, int]
    permissions: Permissions
    level: Level
    guarantees: Sequence[Guarantee]
    attempts: Sequence[Attempt]
    attempts_unlisted: int
    log: str


def inspection(status: PluginStatus) -> dict[str, Any]:
    """Declared, enforced, attempted: as plain values for `plugins inspect --json`."""
    return {
        "name": status.name,
        "version": status.version,
        "declared": asdict(status.permissions),
        "sandbox": status.level,
        "enforced": [asdict(row) for row in status.guarantees if row.enforced],
        "not_enforced": [asdict(row) for row in status.guarantees if not row.enforced],
        "attempted": [asdict(row) for row in status.attempts],
        "attempted_unlisted": status.attempts_unlisted,
    }
