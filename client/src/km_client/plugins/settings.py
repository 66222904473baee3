"""How the host treats every plugin: where things are kept, how strictly, and how long anything may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from km_client.plugins.budget import BACK_OFF_SECONDS
from km_client.plugins.sandbox.guarantees import Level
from km_client.plugins.sandbox.limits import DEFAULT_MEMORY_BYTES


@dataclass(frozen=True, slots=True)
class Deadlines:
    """In seconds."""

    start: float = 15.0  # until the plugin answers health checks: a cold disk and a slow interpreter take 3
    initialize: float = 10.0  # it may reach for its API
    call: float = 5.0  # one batch of events
    health_every: float = 10.0
    health: float = 2.0
    stop: float = 2.0  # everything: Shutdown, go-plugin's last word, the process's end


HUNG_AFTER_DEADLINES = 3  # calls in a row that ran out of time, or health checks: the process is ended


@dataclass(frozen=True, slots=True)
class HostSettings:
    """`state_root/KEY` is what a plugin may write, `log_dir/KEY.log` what it printed. Both are made when needed."""

    state_root: Path
    log_dir: Path
    level: Level = "strict"
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    deadlines: Deadlines = field(default_factory=Deadlines)
    back_off_seconds: tuple[float, ...] = BACK_OFF_SECONDS
    run_root: Path | None = None  # where the private socket directories are made
