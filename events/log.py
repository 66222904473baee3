"""What holds accepted requests until they are drained: `Entry` goes in, and `EventLog` is what each backend promises.

    from events import logs
    log = logs.current()                       # which one: `events.logs`
    log.keep(cursor, [Entry(customer_id=7, …), …])
    with log.taken() as batches: ...           # what lies outside of the database, for the drain

Whichever it is, the inbox of the database is drained too: it *is* the default log, and the place to which every other
moves what could not be stored at once, so that putting off, quarantine and redrive are the same for all.
tests/events/test_event_logs.py is the suite that each passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol
from uuid import UUID

from core.errors import Unavailable

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

    from events.models import InboxEntry


class LogUnavailable(Unavailable):
    """The log did not take something over, or cannot be asked: whatever it was about was not acknowledged."""

    code = "event_log_unavailable"


class Entry(NamedTuple):
    """An accepted request: its `body` as it arrived, and the indexes of the events in it that are not to be stored."""

    customer_id: int
    received_at: datetime
    kind: str
    encoding: str
    events: int
    skipped: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """An entry that came back from a log outside of the database. `id` is the same however often it comes."""

    id: UUID
    entry: InboxEntry  # not saved


class EventLog(Protocol):
    """A place for entries between the answer 200 and the drain. Used by all threads of a process."""

    def keep(self, cursor: CursorWrapper, entries: Sequence[Entry]) -> None:
        """Make all of them durable, at the latest with the transaction of `cursor`, which counted them.

        Raises `LogUnavailable` when that is not certain for each of them: then the transaction is rolled back, and what
        was kept all the same is stored like an event whose answer was lost.
        """
        ...

    def taken(self) -> AbstractContextManager[Sequence[Batch]]:
        """The oldest of what waits outside of the database, not more than one transaction should hold, for this caller
        alone. Who leaves the block without an error has all of it in the database; with one, it comes again.

        Raises `LogUnavailable`, also at the end of the block: then a batch that is in the database comes again.
        """
        ...

    def waiting(self) -> int | None:
        """How many entries wait outside of the database; `None` when the log does not answer within a second or so."""
        ...

    def close(self) -> None:
        """Give up connections, for a process that ends. Whoever uses the log again has new ones."""
        ...
