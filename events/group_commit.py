"""Threads that want to commit at the same moment share one transaction, and so one fsync.

    commits = GroupCommit(write)          # write(drafts) commits them all and returns an outcome for each
    outcome = commits.submit(draft)       # returns after the commit that has `draft` in it

There is no waiting for company: a thread alone commits at once, and those that arrive while it does form the next
group. The first of them commits for all, with its own database connection; the others sleep until their outcome is
there. A group that fails for anything but an unreachable database or log is repeated one by one, so that nobody fails
for another's draft.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from django.db import InterfaceError, OperationalError

from core.errors import Unavailable

Draft = TypeVar("Draft")
Outcome = TypeVar("Outcome")


class _Ticket(Generic[Draft, Outcome]):
    """One thread's draft, and what came of it. `turn` is held until there is an outcome or the lead is handed over."""

    __slots__ = ("draft", "error", "outcomes", "turn")

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.outcomes: Sequence[Outcome] = ()
        self.error: BaseException | None = None
        self.turn = threading.Lock()
        self.turn.acquire()

    @property
    def is_done(self) -> bool:
        return self.error is not None or len(self.outcomes) > 0


class GroupCommit(Generic[Draft, Outcome]):
    """One queue of drafts in this process. `write` gets a non-empty list and returns as many outcomes."""

    def __init__(self, write: Callable[[Sequence[Draft]], Sequence[Outcome]]) -> None:
        self._write = write
        self._mutex = threading.Lock()
        self._waiting: list[_Ticket[Draft, Outcome]] = []
        self._led = False  # somebody commits, and will look at `_waiting` again

    def submit(self, draft: Draft) -> Outcome:
        """The outcome of `draft`, once it is committed. Raises what `write` raised for it."""
        ticket: _Ticket[Draft, Outcome] = _Ticket(draft)
        with self._mutex:
            self._waiting.append(ticket)
            leads, self._led = not self._led, True
        if not leads:
            ticket.turn.acquire()
        if not ticket.is_done:
            self._lead()
        if ticket.error is not None:
            raise ticket.error
        return ticket.outcomes[0]

    def _lead(self) -> None:
        """Commit everything that waits, this thread's own draft among it, then hand the lead on."""
        with self._mutex:
            group, self._waiting = self._waiting, []
        try:
            self._commit(group)
        finally:
            with self._mutex:
                heir = self._waiting[0] if self._waiting else None
                self._led = heir is not None
            for ticket in group:
                ticket.turn.release()
            if heir is not None:
                heir.turn.release()

    def _commit(self, group: list[_Ticket[Draft, Outcome]]) -> None:
        try:
            outcomes = self._write([ticket.draft for ticket in group])
            for ticket, outcome in zip(group, outcomes, strict=True):
                ticket.outcomes = (outcome,)
        except Exception as error:  # noqa: BLE001 - handed to the threads it belongs to
            if len(group) == 1 or isinstance(error, OperationalError | InterfaceError | Unavailable):
                for ticket in group:
                    ticket.error = error
            else:
                for ticket in group:
                    self._commit([ticket])
        except BaseException as error:
            for ticket in group:
                ticket.error = error
            raise
