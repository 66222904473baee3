"""The recorded sessions of this machine: which there are, one by its id, and all the events of one.

    for session in recorded():                  newest first; a look at each line's beginning, no message is read
        for event in session.events(redactor): …

A session is what bears one session id. A person may have given one id to several runs: they are one session then.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
from km_protocol.envelope import Event

from km_client import paths
from km_client.agent import endings
from km_client.agent.redaction import Redactor
from km_client.errors import ClientError
from km_client.output import printable
from km_client.watching import sources
from km_client.watching.sources import UNREADABLE, Run, Start

NEAREST = 5
PREFIX = 13  # of a UUIDv7: its 48 bits of milliseconds, so rarely the same for two


class _Party(msgspec.Struct, frozen=True):
    name: str = ""


class _Line(msgspec.Struct, frozen=True):
    """What the catalogue reads of an event in the log."""

    timestamp: datetime
    session_id: str = ""
    server_info: _Party = _Party()


class Recorded:
    """One session. `runs` are its journals that are still here; `logged` counts its events in the log; `stayed` says
    whether nothing of those that are gone was shipped, where that was noted.
    """

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.server = ""
        self.runs: list[Run] = []
        self.logged = 0
        self.stayed: bool | None = None
        self.first = self.last = datetime.fromtimestamp(0, UTC)

    @property
    def is_live(self) -> bool:
        return any(run.is_live for run in self.runs)

    @property
    def problem(self) -> str:
        return next((run.problem for run in self.runs if run.problem), "")

    @property
    def state(self) -> str:
        """`live`, `waiting` to be shipped, `local` for `--local-only`, `unreadable`; when no journal is left `shipped`,
        of several runs at least one, or `local`; `settled`, one of both, where nobody noted which.
        """
        if self.is_live:
            return "live"
        if self.problem:
            return "unreadable"
        if self.runs:
            return "local" if all(run.session and run.session.local_only for run in self.runs) else "waiting"
        return "settled" if self.stayed is None else "local" if self.stayed else "shipped"

    def saw(self, moment: datetime) -> None:
        self.first = min(self.first, moment) if self.first.timestamp() else moment
        self.last = max(self.last, moment)

    def events(self, wash: Redactor, *, whole: bool = True) -> Iterator[Event]:
        """Every event, in order. `whole` prefers the journal, which holds messages that the log cut."""
        starts = [self._start(run, wash, whole=whole) for run in self._readable()]
        if self.logged:
            yield from self._from_log(starts)
        for run, start in starts:
            told = start.sequence
            try:
                for event in sources.journalled(run, start, wash):
                    told = (event.sequence or 0) + 1
                    yield event
            except UNREADABLE as error:
                if run.spool.path.exists():
                    raise unreadable(run, str(error)) from error
            if not run.spool.path.exists():  # shipped and deleted while it was read: the log has the rest
                yield from (event for event in self._lines() if _is_after(event, run, told))

    def raw_events(self) -> Iterator[Event]:
        """Every event with its secrets. Raises `ClientError` where only the redacted log is left of it."""
        wash = sources.redactor(raw=True)
        starts = [self._start(run, wash, whole=True) for run in self._readable()]
        if not starts or any(start.sequence for _, start in starts) or next(self._from_log(starts), None):
            raise ClientError(
                "raw_is_gone",
                f"the journal of session `{printable(self.session_id)}` is not here any more, or not all of it",
                "what was shipped is kept in the log only, redacted: leave out --raw",
            )
        for run, start in starts:
            try:
                yield from sources.journalled(run, start, wash)
            except UNREADABLE as error:
                raise unreadable(run, str(error)) from error

    def _readable(self) -> list[Run]:
        return [run for run in self.runs if run.session]

    def _start(self, run: Run, wash: Redactor, *, whole: bool) -> tuple[Run, Start]:
        try:
            if not whole and self.logged:
                latest = sources.latest(run, wash)
                if sum(_is_before(event, run, latest.sequence) for event in self._lines()) == latest.sequence:
                    return run, latest
            return run, sources.earliest(run, wash)
        except UNREADABLE as error:
            raise unreadable(run, str(error)) from error

    def _from_log(self, starts: list[tuple[Run, Start]]) -> Iterator[Event]:
        """What the log has and the journals, read from `starts` on, have not."""
        for event in self._lines():
            if not any(_is_after(event, run, start.sequence) for run, start in starts):
                yield event

    def _lines(self) -> Iterator[Event]:
        needle = msgspec.json.encode(self.session_id)
        for line in sources.logged():
            if needle in line and (event := sources.event_of(line)) and event.session_id == self.session_id:
                yield event


def recorded() -> list[Recorded]:
    """Every session of which something is here, the one that spoke last first."""
    found: dict[str, Recorded] = {}
    decode = msgspec.json.Decoder(_Line).decode
    for line in sources.logged():
        try:
            said = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # half a line of a machine that lost power
        session = found.setdefault(said.session_id, Recorded(said.session_id))
        session.logged += 1
        session.server = said.server_info.name or session.server
        session.saw(said.timestamp)
    for run in sources.runs():
        session = found.setdefault(run.session_id, Recorded(run.session_id))
        session.runs.append(run)
        session.server = session.server or (run.session.server_name if run.session else "")
        for moment in _moments(run):
            session.saw(moment)
    for session_id, stayed in endings.read(paths.log_dir()).items():
        if session_id in found:
            found[session_id].stayed = stayed
    return sorted(found.values(), key=lambda session: session.last, reverse=True)


def find(sessions: list[Recorded], wanted: str) -> Recorded:
    """The session with this id, or the only one that begins so. Raises `ClientError` with the nearest ones."""
    if exact := [session for session in sessions if session.session_id == wanted]:
        return exact[0]
    begun = [session for session in sessions if wanted and session.session_id.startswith(wanted)]
    if len(begun) == 1:
        return begun[0]
    ids = [session.session_id for session in begun or sessions]
    if begun:
        message = f"{len(begun)} sessions begin with `{printable(wanted)}`"
        raise ClientError("ambiguous_session", message, f"give more of the id: {_names(ids)}", exit_code=2)
    near = difflib.get_close_matches(wanted, ids, NEAREST, 0.3) or ids[:NEAREST]
    hint = f"the nearest are {_names(near)}; `km-client sessions` lists all" if near else "nothing is recorded yet"
    raise ClientError("unknown_session", f"there is no recorded session `{printable(wanted)}`", hint)


def short(session_id: str, among: list[Recorded]) -> str:
    """As much of the id as tells it from the others."""
    length = PREFIX
    others = [session.session_id for session in among if session.session_id != session_id]
    while length < len(session_id) and any(other.startswith(session_id[:length]) for other in others):
        length += 1
    return session_id[:length]


def unreadable(run: Run, why: str) -> ClientError:
    return ClientError(
        "unreadable_journal",
        f"the journal of session `{printable(run.session_id)}` cannot be read: {printable(why)}",
        f"look at {run.spool.path}; `km-client doctor` checks the rest",
    )


def _is_after(event: Event, run: Run, sequence: int) -> bool:
    return (event.sequence or 0) >= sequence and sources.is_of(event, run.spool.name)


def _is_before(event: Event, run: Run, sequence: int) -> bool:
    return (event.sequence or 0) < sequence and sources.is_of(event, run.spool.name)


def _moments(run: Run) -> Iterator[datetime]:
    """When a run began and when it last wrote, as far as its files tell."""
    if run.session:
        yield datetime.fromtimestamp(run.session.started_at_ns / 1e9, UTC)
    for path in run.spool.path.glob("*.kmj"):
        try:
            yield datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except FileNotFoundError:  # acknowledged and deleted meanwhile
            continue


def _names(ids: list[str]) -> str:
    return ", ".join(f"`{printable(each)}`" for each in ids[:NEAREST])
