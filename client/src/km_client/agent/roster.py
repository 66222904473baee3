"""The sessions on this machine and where each one's events go. One `round` gives every session one bounded turn.

A session that cannot be read is given up for a while and taken up again from its checkpoint; it never holds up others.
"""

from __future__ import annotations

import logging
import shutil
import struct
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from km_client.agent import quarantine
from km_client.agent.choices import Choices
from km_client.agent.delivery import Destination
from km_client.agent.fleet import Fleet
from km_client.agent.health import Health
from km_client.agent.local_log import LocalLog
from km_client.agent.plugin_room import PluginRoom
from km_client.agent.redaction import Redactor
from km_client.agent.state import SessionState, Totals
from km_client.agent.tracker import Tracker, tracker_for
from km_client.capture.journal import JournalError
from km_client.capture.spool import SessionSpool, list_sessions
from km_client.pinning.noting import Noter

RETRY_SECONDS = 5.0  # for a journal that could not be read: a disk may come back
UNREADABLE = (OSError, JournalError, struct.error, IndexError)
_log = logging.getLogger(__name__)


class _Member(NamedTuple):
    tracker: Tracker
    destination: Destination | None
    problem: str


class _Trouble(NamedTuple):
    reason: str
    until: float


class Places(NamedTuple):
    """The directories the agent works in."""

    journal: Path
    checkpoints: Path
    refused: Path


class Roster:
    """Everything the agent does for sessions. `totals` grows as sessions end."""

    def __init__(self, places: Places, fleet: Fleet, log: LocalLog, plugins: PluginRoom, totals: Totals) -> None:
        self.totals = totals
        self._places = places
        self._fleet = fleet
        self._log = log
        self._plugins = plugins
        self._redactor: Redactor | None = None
        self._choices: Choices | None = None
        self._members: dict[str, _Member] = {}
        self._troubles: dict[str, _Trouble] = {}
        self._live: set[str] = set()
        self._rounds = 0
        self._noter = Noter()

    def clean_up(self) -> None:
        """Finish what a killed agent had begun: removed sessions, and checkpoints of sessions that are gone."""
        for leftover in self._places.journal.glob(".*.done"):
            shutil.rmtree(leftover, ignore_errors=True)
        for checkpoint in self._places.checkpoints.glob("*.checkpoint"):
            if not (self._places.journal / checkpoint.stem).exists():
                checkpoint.unlink(missing_ok=True)

    def round(self, choices: Choices) -> bool:
        """One turn for each session; whether any had something to do. Nothing moves while the settings are wrong."""
        spools = list_sessions(self._places.journal)
        self._live = {spool.name for spool in spools if not spool.is_over()}
        if choices.config is None:
            return False
        if choices is not self._choices:
            self._adopt(choices)
        self._rounds += 1
        first = self._rounds % max(1, len(spools))  # not always the same one finds the room in the outbox
        worked = [self._turn(spool, choices) for spool in spools[first:] + spools[:first]]
        return any(worked)

    def is_busy(self) -> bool:
        """Whether any session lives, or waits for a server that may take it without a person's doing."""
        return bool(self._live) or any(
            member.destination is not None and not self._fleet.is_paused(member.destination)
            for member in self._members.values()
        )

    def has_newcomers(self) -> bool:
        """Whether a session is here that no round has seen."""
        seen = self._members.keys() | self._troubles.keys()
        return any(spool.name not in seen for spool in list_sessions(self._places.journal))

    def sums(self, *, unlogged: int) -> Totals:
        """The totals, with those of the deliveries under way."""
        sums = msgspec.structs.replace(self.totals, unlogged=unlogged)
        _add(sums, self._fleet.healths())
        return sums

    def states(self) -> list[SessionState]:
        """Every session whose journal is still here."""
        members = [_state(member, run in self._live) for run, member in self._members.items()]
        troubled = [
            SessionState(run, run, "", is_live=run in self._live, problem=trouble.reason)
            for run, trouble in self._troubles.items()
        ]
        return members + troubled

    def _adopt(self, choices: Choices) -> None:
        """Work by other rules from now on."""
        redactor = Redactor(choices.redaction)
        rules_changed = self._choices is not None and self._choices.redaction != choices.redaction
        self._choices, self._redactor = choices, redactor
        for run, member in self._members.items():
            destination, problem = choices.destination(member.tracker.session)
            if rules_changed or destination != member.destination:
                member.tracker.start_over(redactor)
            if destination != member.destination:
                self._plugins.attend(run, member.tracker.session, destination)
            self._members[run] = _Member(member.tracker, destination, problem)
        needed = {member.destination for member in self._members.values() if member.destination}
        self.count(self._fleet.keep_only(needed))
        self._plugins.keep_accounts(needed)
        self._fleet.retry_now()

    def _turn(self, spool: SessionSpool, choices: Choices) -> bool:
        trouble = self._troubles.get(spool.name)
        if trouble and time.monotonic() < trouble.until:
            return False
        try:
            member = self._members.get(spool.name) or self._join(spool, choices)
            outbox = self._fleet.to(member.destination).outbox if member.destination else None
            worked = member.tracker.advance(outbox)
        except Exception as error:  # noqa: BLE001 - whatever one session's files hold, the others go on
            self._give_up(spool, error)
            return False
        self._troubles.pop(spool.name, None)
        self._note(member.tracker)
        if member.tracker.position.finished:
            self._plugins.leave(spool.name)
        if member.tracker.is_removed:
            self._leave(spool.name, member.tracker)
        return worked

    def _join(self, spool: SessionSpool, choices: Choices) -> _Member:
        assert self._redactor is not None
        session = spool.session()
        destination, problem = choices.destination(session)
        self._plugins.attend(spool.name, session, destination)
        feed = self._plugins.feed(spool.name)
        tracker = tracker_for(spool, self._places.checkpoints, self._redactor, self._log, feed)
        member = _Member(tracker, destination, problem)
        self._members[spool.name] = member
        _log.info("session %s: from event %d on", spool.name, tracker.position.sequence)
        return member

    def _leave(self, run: str, tracker: Tracker) -> None:
        del self._members[run]
        self._noter.leave(run)
        self.totals.sessions += 1
        for records, size in tracker.losses_at_end:
            self.totals.lost_records += records
            self.totals.lost_bytes += size
        _log.info("session %s: all of its %d events are settled", run, tracker.position.sequence)

    def _give_up(self, spool: SessionSpool, error: Exception) -> None:
        """Until later. A segment that will never be readable is set aside, so that the rest of its session is read."""
        member = self._members.pop(spool.name, None)
        if member:
            member.tracker.abandon()
        self._plugins.leave(spool.name)
        reason = f"its journal cannot be read: {error}"
        before = self._troubles.get(spool.name)
        if before is None or before.reason != reason:
            _log.warning("session %s: %s", spool.name, reason, exc_info=not isinstance(error, UNREADABLE))
        self._troubles[spool.name] = _Trouble(reason, time.monotonic() + RETRY_SECONDS)
        try:
            for segment in quarantine.unreadable_segments(spool):
                _log.warning("set aside as %s", quarantine.set_aside(spool, segment, self._places.refused))
                self._troubles.pop(spool.name, None)
        except OSError as second:
            _log.warning("session %s: nothing could be set aside: %s", spool.name, second)

    def _note(self, tracker: Tracker) -> None:
        """What the session taught about itself beside its events."""
        self._noter.note(tracker.spool.name, tracker.session, tracker.head.listed)
        tracker.head.listed.clear()
        for kind, count in tracker.head.redactions.items():
            self.totals.redacted[kind] = self.totals.redacted.get(kind, 0) + count
        tracker.head.redactions.clear()

    def count(self, ended: list[Health]) -> None:
        """Keep the sums of deliveries that are no more."""
        _add(self.totals, ended)


def _add(totals: Totals, healths: list[Health]) -> None:
    for health in healths:
        totals.shipped += health.shipped
        totals.duplicates += health.duplicates
        totals.refused += health.refused


def _state(member: _Member, is_live: bool) -> SessionState:
    tracker, problem = member.tracker, member.problem
    handshake = tracker.position.handshake
    if not tracker.is_saved:
        problem = "its checkpoint cannot be written: is the disk full?"
    return SessionState(
        run=tracker.spool.name,
        session_id=tracker.session.session_id,
        server=handshake.server.name,
        server_title=handshake.server.title,
        client=handshake.client.name if handshake.client else "",
        protocol_version=handshake.protocol_version or "",
        is_live=is_live,
        is_local_only=tracker.session.local_only,
        events=tracker.position.sequence,
        waiting_events=tracker.waiting_events,
        waiting_bytes=tracker.watch.bytes_on_disk(),
        lost=tracker.losses(),
        given_up=tracker.position.conversation.spilled,
        problem=problem,
    )
