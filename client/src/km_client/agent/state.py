"""What the agent tells others about itself: `agent/state.json`, replaced about once a second while something changes.

`km-client status` and `doctor` read it. Whether the agent lives is told by its lock, not by this file; the totals are
of all agents so far, and what a killed one counted in its last second is missing from them.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from km_client import struct_file
from km_client.agent.health import Health


class SessionState(msgspec.Struct):
    """One session whose journal is still here. `lost` is reason → (records, bytes); `problem` says why it stays;
    `given_up` counts calls that were open so long, and so many, that their answers will not be known for such.
    """

    run: str
    session_id: str
    server: str
    server_title: str = ""
    client: str = ""
    protocol_version: str = ""
    is_live: bool = False
    is_local_only: bool = False
    events: int = 0
    waiting_events: int = 0
    waiting_bytes: int = 0
    lost: dict[str, tuple[int, int]] = {}
    given_up: int = 0
    problem: str = ""


class Totals(msgspec.Struct):
    """Sums since the first agent on this machine."""

    sessions: int = 0
    shipped: int = 0
    duplicates: int = 0
    refused: int = 0
    redacted: dict[str, int] = {}
    lost_records: int = 0
    lost_bytes: int = 0
    unlogged: int = 0


class AgentState(msgspec.Struct):
    """The whole file. `problem` is what keeps the agent as a whole from working."""

    pid: int
    started_at: datetime
    updated_at: datetime
    problem: str = ""
    sessions: list[SessionState] = []
    deliveries: list[Health] = []
    totals: Totals = msgspec.field(default_factory=Totals)


def write(path: Path, state: AgentState) -> bool:
    """Whether it could be written; on a full disk the old one stays."""
    return struct_file.write(path, msgspec.json.encode(state))


def read(path: Path) -> AgentState | None:
    """The last state that was written, by a living agent or not."""
    return struct_file.read(path, AgentState)
