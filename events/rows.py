"""What `events.queries` hands to the rooms above: plain frozen rows, in the field's words, never model instances.

A list shows the first `PREVIEW_CHARACTERS` of each message (`is_whole` says whether that is all of it): a page of
megabyte messages must stay a page. `queries.event` gives one event with its whole message.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Substr
from km_protocol.envelope import Party

from events import models

PREVIEW_CHARACTERS = 16 * 1024  # 500 of them, the largest page, are 8 MB
READ_CHARACTERS = PREVIEW_CHARACTERS + 1
"""Of each message: one more tells whether there is more, and megabytes need not be unpacked to be counted"""
_NOBODY = Party()
OWN = (
    *("id", "timestamp", "type", "direction", "method", "tool", "session_id", "sequence", "correlation_id"),
    *("duration_ms", "is_error", "size", "is_base64", "truncated"),
)  # the first fields of `EventRow`
_SERVER, _CLIENT = len(OWN), len(OWN) + 3
_COLUMNS = (*OWN, *(f"{side}__{part}" for side in ("server", "client") for part in ("name", "version", "title")))
Columns = tuple[Any, ...]
Stored = bytes | memoryview
"""As the database gives bytes"""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session. `bytes` are those of its messages; `requests` are the client's and the server's."""

    session_id: str
    server: Party
    client: Party
    protocol_version: str
    started_at: datetime
    last_at: datetime
    events: int
    requests: int
    errors: int
    bytes: int


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event. `size` is the whole message's, in bytes, also where `message` is its beginning."""

    id: UUID
    timestamp: datetime
    type: str
    direction: str
    method: str
    tool: str
    session_id: str
    sequence: int
    correlation_id: str
    duration_ms: float | None
    is_error: bool
    size: int
    is_base64: bool
    truncated: bool
    server: Party
    client: Party
    message: str
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with what answered it, or any other message standing alone."""

    first: EventRow
    answers: tuple[EventRow, ...] = ()

    @property
    def response(self) -> EventRow | None:
        """The answer. More than one is a server's mistake, and `answers` shows it."""
        return self.answers[0] if self.answers else None

    @property
    def duration_ms(self) -> float | None:
        """From the request to its answer, as the client measured it."""
        return self.answers[0].duration_ms if self.answers else self.first.duration_ms

    @property
    def is_error(self) -> bool:
        """Whether the message itself or any answer to it says so."""
        return self.first.is_error or any(answer.is_error for answer in self.answers)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a time."""

    events: int
    requests: int
    errors: int
    bytes: int
    sessions: int


@dataclass(frozen=True, slots=True)
class Hour:
    """Sums over the hour that begins at `at`."""

    at: datetime
    events: int
    requests: int
    errors: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Measure:
    """Sums of one server, method and tool over the minute, hour or day that begins at `at`. `histogram` is the
    durations', as `events.histogram` encodes it."""

    at: datetime
    server: str
    method: str
    tool: str
    events: int
    requests: int
    errors: int
    bytes: int
    histogram: Stored


@dataclass(frozen=True, slots=True)
class Latency:
    """How long one tool or method of one server took, in milliseconds. `timed` events had a duration; `errors` are of
    all that were counted beside them."""

    server: str
    method: str
    tool: str
    timed: int
    errors: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class InboxDepth:
    """What is accepted and not stored yet. `oldest_at` is `None` when nothing waits."""

    requests: int
    events: int
    oldest_at: datetime | None


def previewed(found: QuerySet[models.Event]) -> QuerySet[models.Event, Columns]:
    """`found` with the beginning of each message, and nothing more of it read: the columns `event_row` takes."""
    return found.annotate(beginning=Substr("message", 1, READ_CHARACTERS)).values_list(*_COLUMNS, "beginning")


def whole(found: QuerySet[models.Event]) -> QuerySet[models.Event, Columns]:
    """`found` with all of each message: the columns `whole_row` takes."""
    return found.values_list(*_COLUMNS, "message")


def event_row(columns: Columns) -> EventRow:
    """A row of a `previewed` query. Plain columns: making model instances takes four times as long."""
    message = columns[-1]
    return _row(columns, message[:PREVIEW_CHARACTERS], is_whole=len(message) <= PREVIEW_CHARACTERS)


def whole_row(columns: Columns) -> EventRow:
    """A row of a `whole` query."""
    return _row(columns, columns[-1], is_whole=True)


def _row(columns: Columns, message: str, *, is_whole: bool) -> EventRow:
    server, client = columns[_SERVER:_CLIENT], columns[_CLIENT:-1]
    return EventRow(*(*columns[:_SERVER], _party(*server), _party(*client), message, is_whole))


def _party(name: str | None, version: str, title: str) -> Party:
    return _NOBODY if name is None else Party(name, version, title)


def session_row(row: models.Session) -> SessionRow:
    """A session as rooms above see it."""
    return SessionRow(
        session_id=row.session_id,
        server=Party(row.server_name, row.server_version, row.server_title),
        client=Party(row.client_name, row.client_version, row.client_title),
        protocol_version=row.protocol_version,
        started_at=row.started_at,
        last_at=row.last_at,
        events=row.events,
        requests=row.requests,
        errors=row.errors,
        bytes=row.bytes,
    )
