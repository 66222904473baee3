"""What `/app/events` is narrowed to.

    /app/events?tool=git_log&errors=1&range=7d
    /app/events?server=git&from=2016-11-22T00:00&to=2026-11-23T00:00        moments in UTC

The form's fields are the address's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from dashboard.asked import SPAN_FIELDS, Asked, one_of, span, text
from events.store import EventFilter

TYPES = ("request", "response", "error", "notification")
DIRECTIONS = {"request": "client → server", "response": "server → client"}
_FIELDS = ("direction", "type", "method", "tool", "server", "session", "errors", *SPAN_FIELDS)


def of(sent: Mapping[str, str], *, at: datetime) -> Asked[EventFilter]:
    """What an address asks for at `at`. Raises `InvalidRequest`, which names the field."""
    given = {name: text(sent, name) for name in _FIELDS}
    one_of("direction", given["direction"], tuple(DIRECTIONS))
    one_of("type", given["type"], TYPES)
    one_of("errors", given["errors"], ("1",))
    since, until = span(given, at=at)
    only = EventFilter(
        session_id=given["session"],
        type=given["type"],
        direction=given["direction"],
        method=given["method"],
        tool=given["tool"],
        server=given["server"],
        errors_only=bool(given["errors"]),
        since=since,
        until=until,
    )
    return Asked(given, only)
