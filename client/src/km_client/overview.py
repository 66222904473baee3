"""What is recorded on this machine and where it stands, with or without a running agent: for `status` and `doctor`.

The journals on disk say which sessions there are; the agent's last state adds what only it knows.
"""

from __future__ import annotations

from datetime import UTC, datetime
from operator import itemgetter
from typing import NamedTuple

import msgspec

from km_client import paths
from km_client.agent import presence, refusals, state
from km_client.agent.health import Health
from km_client.agent.state import SessionState, Totals
from km_client.capture.journal import JournalError
from km_client.capture.spool import SessionSpool, list_sessions
from km_client.plugins import report
from km_client.plugins.report import AccountReport, PluginReport


class Told(NamedTuple):
    """What the agent that runs, or the last that did, said about plugins; of one that is gone, each plugin is `ended`.

    `at` is `None` when no agent has said anything that can be read.
    """

    agent_pid: int | None
    at: datetime | None
    plugins: list[PluginReport]
    accounts: list[AccountReport]


class Overview(NamedTuple):
    """`agent_pid` is `None` while no agent runs; `refused_kept` counts the refused events a person may look at."""

    agent_pid: int | None
    agent_problem: str
    sessions: list[SessionState]
    deliveries: list[Health]
    totals: Totals
    refused_kept: int
    told: Told

    @property
    def waiting_events(self) -> int:
        """Understood and not settled; what no agent has read yet is not among them."""
        return sum(session.waiting_events for session in self.sessions)

    @property
    def waiting_bytes(self) -> int:
        return sum(session.waiting_bytes for session in self.sessions if not session.is_local_only)

    @property
    def lost(self) -> dict[str, tuple[int, int]]:
        """Reason → (records, bytes), of the sessions that are still here."""
        total: dict[str, tuple[int, int]] = {}
        for session in self.sessions:
            for reason, (records, size) in session.lost.items():
                before = total.get(reason, (0, 0))
                total[reason] = (before[0] + records, before[1] + size)
        return total

    @property
    def last_error(self) -> Health | None:
        """The delivery that last failed, and has not delivered since."""
        failing = [
            (health.last_error_at, health) for health in self.deliveries if health.reason and health.last_error_at
        ]
        return max(failing, key=itemgetter(0))[1] if failing else None


def look() -> Overview:
    """The state of this machine now."""
    pid = presence.running_pid()
    last = state.read(paths.agent_dir() / "state.json")
    known = {session.run: session for session in last.sessions} if last else {}
    sessions = [_session(spool, known.get(spool.name)) for spool in list_sessions(paths.journal_dir())]
    return Overview(
        agent_pid=pid,
        agent_problem=last.problem if last and pid else "",
        sessions=sessions,
        deliveries=last.deliveries if last else [],
        totals=last.totals if last else Totals(),
        refused_kept=refusals.count(paths.refused_dir()),
        told=look_at_plugins(),
    )


def look_at_plugins() -> Told:
    """What the agent says about plugins and leases, without a look at the sessions."""
    pid = presence.running_pid()
    path = paths.agent_dir() / report.FILE_NAME
    said = report.read(path)
    if said is None:
        return Told(pid, None, [], [])
    is_current = pid is not None and said.updated_at.timestamp() >= paths.agent_lock().stat().st_mtime
    if is_current:
        return Told(pid, said.updated_at, said.plugins, said.accounts)
    plugins = [report.as_ended(plugin) for plugin in said.plugins]
    accounts = [report.as_of(account, datetime.now(UTC)) for account in said.accounts]
    return Told(pid, said.updated_at, plugins, accounts)


def _session(spool: SessionSpool, known: SessionState | None) -> SessionState:
    try:
        said = known or _from_journal(spool)
        size = sum(path.stat().st_size for path in spool.path.glob("*.kmj"))
        return msgspec.structs.replace(said, is_live=not spool.is_over(), waiting_bytes=size)
    except (OSError, JournalError) as error:
        return SessionState(spool.name, spool.name, "", problem=f"its journal cannot be read: {error}")


def _from_journal(spool: SessionSpool) -> SessionState:
    """What a session's own files say before any agent has read them."""
    session, status = spool.session(), spool.status()
    lost = {loss.reason: (loss.records, loss.bytes) for side in (status.request, status.response) for loss in side.lost}
    return SessionState(
        run=spool.name,
        session_id=session.session_id,
        server=session.server_name,
        is_local_only=session.local_only,
        lost=lost,
    )
