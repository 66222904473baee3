"""The agent's loop: look, work, tell, sleep; leave when there has been nothing to do for a while.

    Service().run()        until `stop` is called (a signal) or it was idle for `agent.idle_seconds`

A look at a quiet session is a few system calls, ten times a second while sessions live and twice a second otherwise.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import UTC, datetime

from km_client import paths
from km_client.agent import state
from km_client.agent.accounts import Accounts
from km_client.agent.choices import ChoiceReader, Choices
from km_client.agent.fleet import Fleet
from km_client.agent.health import Health
from km_client.agent.local_log import LocalLog
from km_client.agent.plugin_room import PluginRoom
from km_client.agent.roster import Places, Roster
from km_client.agent.state import AgentState, Totals
from km_client.settings import DEFAULT_IDLE_SECONDS, DEFAULT_LOG_BYTES

LIVE_POLL_SECONDS = 0.1  # what a person watching live does not notice
QUIET_POLL_SECONDS = 0.5
STATE_SECONDS = 1.0
_log = logging.getLogger(__name__)


class Service:
    """The whole agent, once its process has the lock."""

    def __init__(self) -> None:
        self._awake = threading.Event()
        self.is_stopping = False
        self._reader = ChoiceReader()
        self._choices = self._reader.current()
        self._started_at = datetime.now(UTC)
        self._state_path = paths.agent_dir() / "state.json"
        before = state.read(self._state_path)
        self._unlogged_before = before.totals.unlogged if before else 0
        self._fleet = Fleet(paths.refused_dir(), self._awake.set)
        self._log = LocalLog(paths.log_dir(), _log_bytes(self._choices))
        places = Places(paths.journal_dir(), paths.agent_dir() / "checkpoints", paths.refused_dir())
        self._plugins = PluginRoom(Accounts(self._awake.set))
        self._roster = Roster(places, self._fleet, self._log, self._plugins, before.totals if before else Totals())
        self._busy_at = time.monotonic()
        self._told_at = 0.0

    def stop(self) -> None:
        """End within a poll. Made for signal handlers, where setting the event could deadlock with its own wait."""
        self.is_stopping = True

    def run(self) -> None:
        """Until stopped or idle. What is not settled then stays in the journals."""
        self._roster.clean_up()
        while not self.is_stopping and not self._is_idle():
            if not self._work():
                self._awake.wait(LIVE_POLL_SECONDS if self._is_busy() else QUIET_POLL_SECONDS)
                self._awake.clear()
        self._plugins.close()
        ended = self._fleet.keep_only(())
        self._roster.count(ended)
        self._log.close()
        self._tell(ended)

    def has_work(self) -> bool:
        """Whether a session began that no round has seen, asked after the lock was given back."""
        return self._roster.has_newcomers()

    def _work(self) -> bool:
        """One round. Whether another should follow at once."""
        choices = self._reader.current()
        if choices is not self._choices:
            self._choices = choices
            self._log.limit(_log_bytes(choices))
            logging.getLogger().setLevel(log_level(choices))
        worked = self._roster.round(choices)
        if choices.config:
            self._plugins.round(choices.config)
        if worked or self._is_busy():
            self._busy_at = time.monotonic()
        if time.monotonic() >= self._told_at + STATE_SECONDS:
            self._tell(self._fleet.healths())
        return worked

    def _is_busy(self) -> bool:
        return self._roster.is_busy() or self._plugins.is_busy()

    def _is_idle(self) -> bool:
        seconds = self._choices.config.idle_seconds if self._choices.config else DEFAULT_IDLE_SECONDS
        return time.monotonic() - self._busy_at > seconds

    def _tell(self, deliveries: list[Health]) -> None:
        self._told_at = time.monotonic()
        now = AgentState(
            pid=os.getpid(),
            started_at=self._started_at,
            updated_at=datetime.now(UTC),
            problem=self._choices.config_problem,
            sessions=self._roster.states(),
            deliveries=deliveries,
            totals=self._roster.sums(unlogged=self._unlogged_before + self._log.lost),
        )
        if not state.write(self._state_path, now) or not self._plugins.tell(now.updated_at):
            _log.warning("%s cannot be written: is the disk full?", self._state_path.parent)


def log_level(choices: Choices) -> int:
    name = choices.config.log_level if choices.config else "info"
    return logging.getLevelNamesMapping()[name.upper()]


def _log_bytes(choices: Choices) -> int:
    return choices.config.log_bytes if choices.config else DEFAULT_LOG_BYTES
