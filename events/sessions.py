"""Sessions, kept up to date by addition: each drain adds what its new events change, in one statement a session.

    add([NewEvent(session_id="019aa…", type="request", size=91, …), …])

Inside the drain's transaction. Sums add, the first and last moments widen, and a name that an event brings replaces the
one before; two drains of one session at once end in the same row whichever commits first.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connection

from events.introductions import Introduction, introduction, may_introduce
from events.models import Session
from events.store import NewEvent, PartyNames
from events.upserts import upsert

_NAMES = tuple(f"{side}_{part}" for side in ("server", "client") for part in ("name", "version", "title"))
_SUMS = ("events", "requests", "errors", "bytes")
_TABLE = Session._meta.db_table
_LATEST = "CASE WHEN excluded.{0} <> '' THEN excluded.{0} ELSE {1}.{0} END"
_UPSERT = upsert(
    Session,
    ("customer_id", "session_id"),
    {name: _LATEST.format(name, _TABLE) for name in (*_NAMES, "protocol_version")}
    | {
        "started_at": f"CASE WHEN excluded.started_at < {_TABLE}.started_at"
        f" THEN excluded.started_at ELSE {_TABLE}.started_at END",
        "last_at": f"CASE WHEN excluded.last_at > {_TABLE}.last_at THEN excluded.last_at ELSE {_TABLE}.last_at END",
    }
    | {name: f"{_TABLE}.{name} + excluded.{name}" for name in _SUMS},
)


class _Change:
    """What one drain's events change about one session."""

    __slots__ = ("bytes", "client", "errors", "events", "introduced", "last_at", "requests", "server", "started_at")

    def __init__(self, first: NewEvent) -> None:
        self.server: PartyNames = first.server
        self.client: PartyNames = first.client
        self.introduced = Introduction()
        self.started_at: datetime = first.timestamp
        self.last_at: datetime = first.timestamp
        self.events = self.requests = self.errors = self.bytes = 0

    def add(self, event: NewEvent) -> None:
        self.events += 1
        self.requests += event.type == "request"
        self.errors += event.is_error
        self.bytes += event.size
        self.started_at = min(self.started_at, event.timestamp)
        self.last_at = max(self.last_at, event.timestamp)
        self.server = event.server if any(event.server) else self.server
        self.client = event.client if any(event.client) else self.client
        if not self.introduced.protocol_version or not any(self.introduced.server):
            self._introduce(event)

    def _introduce(self, event: NewEvent) -> None:
        if may_introduce(event):
            said, before = introduction(event), self.introduced
            self.introduced = Introduction(
                said.protocol_version if event.type != "request" else before.protocol_version or said.protocol_version,
                said.server if any(said.server) else before.server,
                said.client if any(said.client) else before.client,
            )

    def values(self) -> tuple[Any, ...]:
        """In the order of `_UPSERT`, after the key."""
        adapt = connection.ops.adapt_datetimefield_value
        return (
            *_filled(self.server, self.introduced.server),
            *_filled(self.client, self.introduced.client),
            self.introduced.protocol_version,
            adapt(self.started_at),
            adapt(self.last_at),
            *(self.events, self.requests, self.errors, self.bytes),
        )


def add(events: Iterable[NewEvent]) -> None:
    """Count `events`, all of them new, into their sessions. An event without a session is in none."""
    changes: dict[tuple[int, str], _Change] = {}
    for event in events:
        if event.session_id:
            key = event.customer_id, event.session_id
            change = changes.get(key)
            if change is None:
                change = changes[key] = _Change(event)
            change.add(event)
    with connection.cursor() as cursor:
        cursor.executemany(_UPSERT, [(*key, *changes[key].values()) for key in sorted(changes)])


def _filled(sent: PartyNames, introduced: PartyNames) -> PartyNames:
    """What the events say of a party, completed by what it says of itself."""
    name, version, title = sent
    own_name, own_version, own_title = introduced
    return name or own_name, version or own_version, title or own_title or (own_name if own_name != name else "")
