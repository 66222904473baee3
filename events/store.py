"""What keeps the events: `NewEvent` goes in, and `EventStore` is what each backend promises.

    from events import stores
    store = stores.current()                                   # which one: `events.stores`
    new = store.insert([NewEvent(customer_id=7, id=UUID("019aa…"), …), …])     → those that were not there before
    store.known(7, ids)                                        → those of `ids` that are stored

The store holds the events alone. What is counted of them (sessions, rollups, usage) is in the relational database and
is counted from what `insert` returns, so on every backend alike. tests/events/test_event_stores.py is the suite that
each passes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from core.paging import Page
from events.rows import EventRow, Exchange, Measure

Key = tuple[int, int]
"""(customer, event id as a number, which compares ten times faster)"""
PartyNames = tuple[str, str, str]
"""(name, version, title) of a server or a client; all blank for one that nobody named"""

ANSWERS = ("response", "error")  # the types that answer a request


class NewEvent(NamedTuple):
    """An event to store. `timestamp` is in UTC; the parties are stored as the number of their row. `over_http`, how
    its server is reached, is not stored: it goes on to what is exported.
    """

    customer_id: int
    id: UUID
    correlation_id: str
    timestamp: datetime
    type: str
    direction: str
    method: str
    tool: str
    session_id: str
    sequence: int
    duration_ms: float | None
    is_error: bool
    size: int
    server: PartyNames
    client: PartyNames
    is_base64: bool
    truncated: bool
    message: str
    over_http: bool = False

    @property
    def key(self) -> Key:
        return self.customer_id, self.id.int


STORED = NewEvent._fields[:-1]


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What `recent_events` is narrowed to; a blank or absent field narrows nothing. Times are half open."""

    session_id: str = ""
    type: str = ""
    direction: str = ""
    method: str = ""
    tool: str = ""
    server: str = ""  # its name, as events give it
    errors_only: bool = False
    since: datetime | None = None
    until: datetime | None = None


NOTHING = EventFilter()


class EventStore(Protocol):
    """A place for events, keyed by (customer, id). Every read is of one customer.

    `claimed_rows` and `claimed_events` say how much of the inbox one drain should bring: what keeps this store fast.
    """

    claimed_rows: int
    claimed_events: int

    def insert(self, events: Iterable[NewEvent]) -> list[NewEvent]:
        """Store what is not stored yet; those of `events` that were new. No two of them may have the same key.

        Called inside the drain's transaction, at once with other drains, perhaps of the same events. A store that does
        not take part in that transaction must tell the same events as new again when the drain comes back after a
        rollback, or they are never counted.
        """
        ...

    def known(self, customer_id: int, ids: Iterable[UUID]) -> set[UUID]:
        """Those of `ids` this customer has stored. Asked while events are accepted: it must not wait for a server that
        accepting them does not need."""
        ...

    def event(self, customer_id: int, event_id: UUID) -> EventRow | None:
        """One event with its whole message."""
        ...

    def session_events(self, customer_id: int, session_id: str, *, after: str | None, limit: int) -> Page[EventRow]:
        """See `events.queries.session_events`; so for the four below."""
        ...

    def session_exchanges(
        self, customer_id: int, session_id: str, *, after: str | None, limit: int
    ) -> Page[Exchange]: ...

    def exchanges(self, customer_id: int, session_id: str, ids: Iterable[UUID]) -> list[Exchange]: ...

    def session_tail(self, customer_id: int, session_id: str, *, last: int) -> str | None: ...

    def recent_events(
        self, customer_id: int, *, after: str | None, limit: int, only: EventFilter
    ) -> Page[EventRow]: ...

    def minutes(
        self, customer_id: int, *, since: datetime, until: datetime, most: int, timed: bool = True
    ) -> list[Measure]:
        """What each minute of `since` ≤ time < `until` held, a row for each server, method and tool, or several to add
        up; of the newest `most` events alone. For an hour or two: what is longer is in the rollups. Without `timed`, no
        histogram is made."""
        ...

    def answers(self) -> bool:
        """Whether it can be asked now, found out within two seconds."""
        ...

    def prepare(self, *, now: datetime) -> None:
        """Make the room that the coming days' events need. After `migrate`, and every hour; safe to repeat."""
        ...

    def delete_day(self, customer_id: int, day: datetime, *, most: int) -> int:
        """Delete up to `most` of a customer's events of the UTC day that begins at `day`, by their timestamps; how many
        those were. A store whose deletes hold nobody up may delete all of them at once."""
        ...

    def drop_before(self, day: datetime) -> int:
        """Give up everything before `day` that can go at once, of all customers; how many partitions went. What is left
        is deleted a day and a customer at a time."""
        ...
