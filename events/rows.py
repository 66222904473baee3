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
from django.db.models.functions import Length, Substr
from km_protocol.envelope import Party

from events import models

PREVIEW_CHARACTERS = 16 * 1024  # 500 of them, the largest page, are 8 MB
_NOBODY = Party()


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
    server: Party
    client: Party
    message: str
    is_base64: bool
    truncated: bool
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
class InboxDepth:
    """What is accepted and not stored yet. `oldest_at` is `None` when nothing waits."""

    requests: int
    events: int
    oldest_at: datetime | None


def previewed(found: QuerySet[models.Event]) -> QuerySet[models.Event]:
    """`found` with the beginning of each message, and nothing more of it read."""
    return (
        found.select_related("server", "client")
        .defer("message")
        .annotate(preview=Substr("message", 1, PREVIEW_CHARACTERS), characters=Length("message"))
    )


def event_row(row: Any) -> EventRow:
    """A row of a `previewed` query."""
    return _row(row, row.preview, is_whole=row.characters <= PREVIEW_CHARACTERS)


def whole_event_row(row: models.Event) -> EventRow:
    """An event with all of its message."""
    return _row(row, row.message, is_whole=True)


def _row(row: models.Event, message: str, *, is_whole: bool) -> EventRow:
    return EventRow(
        id=row.id,
        timestamp=row.timestamp,
        type=row.type,
        direction=row.direction,
        method=row.method,
        tool=row.tool,
        session_id=row.session_id,
        sequence=row.sequence,
        correlation_id=row.correlation_id,
        duration_ms=row.duration_ms,
        is_error=row.is_error,
        size=row.size,
        server=_party(row.server),
        client=_party(row.client),
        message=message,
        is_base64=row.is_base64,
        truncated=row.truncated,
        is_whole=is_whole,
    )


def _party(row: models.Party | None) -> Party:
    return _NOBODY if row is None else Party(row.name, row.version, row.title)


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
