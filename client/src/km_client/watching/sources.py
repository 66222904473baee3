"""Where the events of a session are on this machine, and how they are read: each once, in order, as they are shipped.

    journal/<run>/   every byte, until the service has acknowledged all of it; read here by the agent's own derivation
    log/             what the agent understood, redacted, messages over 64 KiB cut; the oldest given up at its cap

The agent deletes a journal piece by piece. What is gone from it comes from the log, everything after that from the
journal, and an event's id tells of which run it is: so nothing is missing and nothing stands there twice.
Everything is redacted by the person's rules unless a redactor that does nothing is given.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from km_protocol.envelope import Event, Party

from km_client import config, paths
from km_client.agent import reading
from km_client.agent.checkpoint import Checkpoint, CheckpointFile
from km_client.agent.derivation import Derivation, Identity
from km_client.agent.events import MAX_SESSION_ID, event_id
from km_client.agent.handshake import Handshake
from km_client.agent.local_log import log_files, read_lines
from km_client.agent.position import Position, decode
from km_client.agent.redaction import RedactionRules, Redactor
from km_client.capture.journal import DIRECTIONS, JournalError, segment_number
from km_client.capture.spool import Session, SessionSpool, list_sessions

UNREADABLE = (OSError, JournalError, struct.error, IndexError, msgspec.DecodeError)
"""What a damaged, foreign or vanishing journal raises."""
RAW = RedactionRules(enabled=False)
_EVENT = msgspec.json.Decoder(Event)


class Run(NamedTuple):
    """One journal on this machine, or what can be said of one that cannot be read (`problem`)."""

    spool: SessionSpool
    session: Session | None
    is_live: bool
    problem: str = ""

    @property
    def session_id(self) -> str:
        return self.session.session_id[:MAX_SESSION_ID] if self.session else self.spool.name


def redactor(*, raw: bool = False) -> Redactor:
    """By the person's rules, or one that leaves everything. Raises `ClientError` while the settings are wrong."""
    if raw:
        return Redactor(RAW)
    settings = config.load()
    return Redactor(RedactionRules(settings.redacts, settings.patterns, settings.allowed))


def washed(value: Any, wash: Redactor) -> Any:
    """A JSON value without its secrets; the text of it where a pattern of the person's own leaves no JSON."""
    content = wash.redact(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")).content
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")


def runs() -> list[Run]:
    """Every journal that is here, oldest first; one that vanishes meanwhile is none."""
    return [run for spool in list_sessions(paths.journal_dir()) if (run := _run(spool))]


def logged() -> Iterator[bytes]:
    """The lines of the whole log, oldest first; a torn last line is left out."""
    for path in log_files(paths.log_dir()):
        try:
            for line, _ in read_lines(path):
                yield line
        except FileNotFoundError:  # given up while this was read: the next one goes on
            continue


def event_of(line: bytes) -> Event | None:
    """The event of a line of the log; `None` if a power cut left something else there."""
    try:
        return _EVENT.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class Start(NamedTuple):
    """Where reading a journal begins; of the log, events of its run are taken only before `sequence`."""

    position: Position
    sequence: int


def earliest(run: Run, wash: Redactor) -> Start:
    """The first place from which the whole rest of the journal is there. Raises what is in `UNREADABLE`."""
    if not _is_begun(run.spool):
        return Start(_beginning(run, wash), 0)
    checkpoint = _checkpoint(run)
    position = decode(bytes(checkpoint.shipped)) if checkpoint else _beginning(run, wash)
    return Start(position, position.sequence)


def latest(run: Run, wash: Redactor) -> Start:
    """Where the agent's understanding stands: what is before it was logged. Raises what is in `UNREADABLE`."""
    checkpoint = _checkpoint(run)
    position = decode(bytes(checkpoint.head)) if checkpoint else _beginning(run, wash)
    return Start(position, position.sequence)


def derivation(run: Run, start: Start, wash: Redactor) -> Derivation:
    assert run.session is not None
    identity = Identity(run.spool.name, run.session_id, run.session.has_whole_messages)
    return Derivation.resume(run.spool, identity, start.position, wash)


def journalled(run: Run, start: Start, wash: Redactor) -> Iterator[Event]:
    """What the journal holds from `start` to now, to its end if the session is over. Raises what is in `UNREADABLE`."""
    reader = derivation(run, start, wash)
    over = run.spool.is_over()
    if reader.position.finished:
        return
    is_all = False
    while not is_all:
        events, is_all, _ = reading.read(run.spool, reader, until=None, over=over, now_ns=time.monotonic_ns())
        yield from events
    if over:
        yield from reader.finish(reading.status_of(run.spool))


def is_of(event: Event, run: str) -> bool:
    """Whether this event of the log was derived from the journal `run`."""
    moment = round(event.timestamp.timestamp() * 1_000_000) * 1000
    return event.sequence is not None and event_id(run, event.sequence, moment) == event.id


def _run(spool: SessionSpool) -> Run | None:
    try:
        return Run(spool, spool.session(), not spool.is_over())
    except (OSError, JournalError) as error:
        # What is gone by now was shipped and deleted since it was listed.
        return Run(spool, None, is_live=False, problem=str(error)) if spool.path.exists() else None


def _beginning(run: Run, wash: Redactor) -> Position:
    return Position(Handshake.of(run.session, wash) if run.session else Handshake(Party()))


def _is_begun(spool: SessionSpool) -> bool:
    """Whether the agent has deleted the beginning of either direction."""
    firsts = [next(iter(spool.segments(direction)), None) for direction in DIRECTIONS]
    return any(first is not None and segment_number(first) > 1 for first in firsts)


def _checkpoint(run: Run) -> Checkpoint | None:
    return CheckpointFile(paths.agent_dir() / "checkpoints" / f"{run.spool.name}.checkpoint").load()
