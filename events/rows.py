"""What `events.queries` hands to the rooms above: plain frozen rows, in the field's words, never model instances.

A list shows the first `PREVIEW_CHARACTERS` of each message (`is_whole` says whether that is all of it): a page of
megabyte messages must stay a page. `queries.event` gives one event with its whole message.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from km_protocol.envelope import Party

PREVIEW_CHARACTERS = 16 * 1024  # 500 of them, the largest page, are 8 MB


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
