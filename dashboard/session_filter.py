"""What `/app/sessions` is narrowed to.

    /app/sessions?server=git&client=claude&errors=1&range=7d
    /app/sessions?from=2026-11-01T00:00&to=2026-11-08T00:00        started then; moments in UTC

`q` is an older word for `server`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from dashboard.asked import SPAN_FIELDS, Asked, one_of, span, text
from events.session_queries import SessionFilter

_FIELDS = ("server", "client", "errors", *SPAN_FIELDS)


def of(sent: Mapping[str, str], *, at: datetime) -> Asked[SessionFilter]:
    """What an address asks for at `at`. Raises `InvalidRequest`, which names the field."""
    given = {name: text(sent, name) for name in _FIELDS}
    given["server"] = given["server"] or text(sent, "q")
    one_of("errors", given["errors"], ("1",))
    since, until = span(given, at=at)
    return Asked(given, SessionFilter(given["server"], given["client"], bool(given["errors"]), since, until))
