"""What is being said on this machine now: new events of every session, in turn from the journals and the log.

    follower = Follower(redactor, since=moment)
    follower.poll()         the events since the last call; the first time, also what was said since `since`

A journal has an event first; the log still has it when a session ended and its journal is gone. Each event comes once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

from km_protocol.envelope import Event

from km_client import paths
from km_client.agent import reading
from km_client.agent.derivation import Derivation
from km_client.agent.local_log import log_files, read_lines
from km_client.agent.redaction import Redactor
from km_client.agent.watch import Watch
from km_client.log_view import Place
from km_client.watching import sources
from km_client.watching.sources import UNREADABLE, Run

REMEMBERED = 50_000  # ids; the log follows the journals by seconds


class Follower:
    """`live` are the session ids of relays that run; `problems` says what cannot be read, by run."""

    def __init__(self, wash: Redactor, since: datetime) -> None:
        self.live: set[str] = set()
        self.problems: dict[str, str] = {}
        self._wash = wash
        self._since = since
        self._readers: dict[str, _Reader] = {}
        self._done: set[str] = set()
        self._seen: dict[str, None] = {}
        self._place = Place(None, 0)
        self._logged: set[str] = set()

    def poll(self) -> list[Event]:
        """Never waits, and never fails because of one journal."""
        history = self._new([*self._from_log()]) if self._place.path is None else []
        events = [*history, *self._new([event for run in self._runs() for event in self._from_journal(run)])]
        return [*events, *self._new([*self._from_log()])]

    def _runs(self) -> list[Run]:
        runs = sources.runs()
        names = {run.spool.name for run in runs}
        for gone in self._readers.keys() - names:
            del self._readers[gone]
        self._done &= names
        self.problems = {name: why for name, why in self.problems.items() if name in names}
        self.live = {run.session_id for run in runs if run.is_live}
        return runs

    def _from_journal(self, run: Run) -> list[Event]:
        name = run.spool.name
        if name in self._done:
            return []
        if run.session is None:
            self.problems[name] = run.problem
            return []
        try:
            reader = self._readers.get(name) or self._readers.setdefault(name, self._reader(run))
            events = reader.read()
        except UNREADABLE as error:
            self._readers.pop(name, None)
            if run.spool.path.exists():
                self.problems[name] = str(error)
            return []
        self.problems.pop(name, None)
        if reader.derivation.position.finished:
            self._done.add(name)
        return events

    def _reader(self, run: Run) -> _Reader:
        begin = sources.latest if run.session_id in self._logged else sources.earliest
        return _Reader(run, sources.derivation(run, begin(run, self._wash), self._wash))

    def _from_log(self) -> Iterator[Event]:
        for path in log_files(paths.log_dir()):
            if self._place.path and path.name < self._place.path.name:
                continue
            start = self._place.offset if path == self._place.path else 0
            self._place = Place(path, start)
            try:
                for line, offset in read_lines(path, start):
                    self._place = Place(path, offset)
                    if event := sources.event_of(line):
                        self._logged.add(event.session_id or "")
                        yield event
            except FileNotFoundError:  # given up while this was read: the next one goes on
                continue

    def _new(self, events: list[Event]) -> list[Event]:
        new = [event for event in events if event.id not in self._seen and event.timestamp >= self._since]
        self._seen.update(dict.fromkeys(event.id for event in new))
        while len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return new


class _Reader:
    """One journal, as far as it was read."""

    def __init__(self, run: Run, derivation: Derivation) -> None:
        self.derivation = derivation
        self._spool = run.spool
        self._watch = Watch(run.spool.path)
        self._more = True

    def read(self) -> list[Event]:
        """The next batch, if there is one."""
        over = self._spool.is_over()
        if self.derivation.position.finished or not (over or self._more or self._watch.has_news()):
            return []
        events, is_all, _ = reading.read(
            self._spool, self.derivation, until=None, over=over, now_ns=time.monotonic_ns()
        )
        self._more = not is_all
        if over and is_all:
            events += self.derivation.finish(reading.status_of(self._spool))
        return events
