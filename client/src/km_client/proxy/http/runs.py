"""Which run an HTTP message is recorded in: one for each MCP session, one for each kind of client without sessions.

    runs.begin(peer)                       an `initialize` begins a run; with the `Mcp-Session-Id` of its answer,
    runs.bind(session_id, run)             what follows under that id belongs to it
    runs.of_session(session_id)            a session that began before this process did gets a run of its own
    runs.of_peer(peer)                     requests without a session, as all are in 2026-07-28

A peer is what `User-Agent` says: behind one local address nothing else tells two programs apart. A run ends with its
session (DELETE, or 404 in answer to its id), after an hour without an exchange, or with this process. The ids of
sessions are secrets, and are written nowhere.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic, monotonic_ns, time_ns

from km_client.capture import exchanges
from km_client.capture.exchanges import Entry
from km_client.capture.journal import REQUEST, Direction
from km_client.capture.recording import Recording

MAX_RUNS = 128  # each holds three open files
IDLE_SECONDS = 3600.0
Key = tuple[str, bytes]


class Run:
    """One recording. `users` counts the exchanges that may still write into it."""

    def __init__(self, recording: Recording) -> None:
        self.users = 0
        self.is_over = False
        self.used_at = monotonic()
        self._recording = recording

    def write(self, direction: Direction, entry: Entry) -> None:
        """Record one message, now. Never fails: what cannot be recorded is counted."""
        journal = self._recording.request if direction == REQUEST else self._recording.response
        journal.append(exchanges.encode(entry), monotonic_ns(), time_ns())

    def finish(self, exit_code: int | None = None) -> None:
        self._recording.finish(exit_code=exit_code, signal=None, unix_ns=time.time_ns())
        self._recording.close()


class Runs:
    """All runs of this process. `open_recording()` makes a new one, started."""

    def __init__(self, open_recording: Callable[[], Recording]) -> None:
        self._open_recording = open_recording
        self._runs: OrderedDict[Key, Run] = OrderedDict()
        self._ended: set[Run] = set()

    def begin(self, peer: bytes) -> Run:
        """A new run, which is also where this peer's requests without a session go from now on."""
        return self._put(("peer", peer), Run(self._open_recording()))

    def bind(self, session_id: bytes, run: Run) -> None:
        """From now on `session_id` means this run, and its peer's next request without a session another one."""
        for key in [key for key, each in self._runs.items() if each is run]:
            del self._runs[key]
        if run in self._ended:  # a second client of the same name said `initialize` before this one had its answer
            self._ended.discard(run)
            run.is_over = False
        self._put(("session", session_id), run)

    def of_session(self, session_id: bytes) -> Run:
        return self._find(("session", session_id))

    def of_peer(self, peer: bytes) -> Run:
        return self._find(("peer", peer))

    def has_session(self, session_id: bytes) -> bool:
        return ("session", session_id) in self._runs

    def end(self, session_id: bytes) -> None:
        """The session is over: its run ends as soon as no exchange writes into it."""
        run = self._runs.pop(("session", session_id), None)
        if run:
            self._retire(run)

    def release(self, run: Run) -> None:
        """An exchange is done with this run."""
        run.users -= 1
        run.used_at = monotonic()
        if run.is_over and not run.users:
            self._ended.discard(run)
            run.finish()

    def sweep(self) -> None:
        """End the runs that nobody used for long."""
        for key, run in list(self._runs.items()):
            if not run.users and monotonic() - run.used_at > IDLE_SECONDS:
                del self._runs[key]
                self._retire(run)

    def finish(self, exit_code: int | None = None) -> None:
        """This process ends."""
        for run in {*self._runs.values(), *self._ended}:
            run.finish(exit_code)
        self._runs.clear()
        self._ended.clear()

    def _find(self, key: Key) -> Run:
        run = self._runs.get(key)
        if run is None:
            return self._put(key, Run(self._open_recording()))
        self._runs.move_to_end(key)
        return run

    def _put(self, key: Key, run: Run) -> Run:
        before = self._runs.pop(key, None)
        if before and before is not run:
            self._retire(before)
        self._runs[key] = run
        if len(self._runs) > MAX_RUNS:
            self._retire(self._runs.popitem(last=False)[1])
        return run

    def _retire(self, run: Run) -> None:
        run.is_over = True
        if run.users:
            self._ended.add(run)
        else:
            run.finish()
