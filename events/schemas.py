"""The answers of this room's addresses, as they cross the wire. What it takes is `km_protocol.envelope`'s."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from km_protocol.envelope import Party

from events.ingestion import Rejection
from events.rows import EventRow, InboxDepth, Totals

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class AcceptedAnswer(msgspec.Struct, kw_only=True):
    """Durable. `accepted` will be stored; `duplicates` are stored already; `rejected` is empty when all were good."""

    success: bool = True
    accepted: int
    duplicates: int
    rejected: list[Rejection]


class RecordedAnswer(msgspec.Struct):
    """The launch is durable. `events_remaining` of today's quota is null when there is no limit."""

    status: str
    message: str
    events_remaining: int | None


class ActivityEvent(msgspec.Struct):
    """An event and the beginning of its message; `message_complete` says whether that is all of it."""

    id: str
    timestamp: Moment
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
    server_info: Party
    client_info: Party
    message: str
    message_encoding: str
    message_complete: bool
    truncated: bool


class ActivityAnswer(msgspec.Struct):
    """A page, newest first. `next` is the `cursor` of the following page, null on the last one."""

    events: list[ActivityEvent]
    next: str | None


class Sums(msgspec.Struct):
    """Sums over a time; `bytes` of messages."""

    events: int
    requests: int
    errors: int
    bytes: int
    sessions: int


class Waiting(msgspec.Struct):
    """Accepted and not stored yet."""

    requests: int
    events: int
    oldest_at: Moment | None


class DayQuota(msgspec.Struct):
    """Today's quota; `limit` and `remaining` are null when there is none."""

    limit: int | None
    used: int
    remaining: int | None
    resets_at: Moment


class StatsAnswer(msgspec.Struct):
    """What a customer's events add up to. Sums are of stored events, by the events' own time."""

    today: Sums
    last_24_hours: Sums
    last_7_days: Sums
    duplicates_today: int
    refused_today: int
    inbox: Waiting
    quota: DayQuota


def activity_event(row: EventRow) -> ActivityEvent:
    """`row` as the API shows it."""
    return ActivityEvent(
        id=str(row.id),
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
        server_info=row.server,
        client_info=row.client,
        message=row.message,
        message_encoding="base64" if row.is_base64 else "text",
        message_complete=row.is_whole and not row.truncated,
        truncated=row.truncated,
    )


def sums(totals: Totals) -> Sums:
    """`totals` as the API shows them."""
    return Sums(totals.events, totals.requests, totals.errors, totals.bytes, totals.sessions)


def waiting(depth: InboxDepth) -> Waiting:
    """`depth` as the API shows it."""
    return Waiting(depth.requests, depth.events, depth.oldest_at)
