"""What `/app/sessions` is narrowed to, from its address and back: an address shared is the same page for a colleague.

    /app/sessions?server=git&client=claude&errors=1&range=7d
    /app/sessions?from=2026-11-01T00:00&to=2026-11-08T00:00        started then; moments in UTC

`q` is an older word for `server`. A range reaches up to now; `from` and `to` are taken before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode

from dashboard.event_filter import moment, one_of, text
from events.overview_queries import RANGES
from events.session_queries import EVERYTHING, SessionFilter

_FIELDS = ("server", "client", "errors", "range", "from", "to")


@dataclass(frozen=True, slots=True)
class Asked:
    """`given` holds each field as it was sent; `is_narrowed` says whether any of them is."""

    given: Mapping[str, str] = field(default_factory=dict)
    only: SessionFilter = EVERYTHING

    @property
    def is_narrowed(self) -> bool:
        return any(self.given.values())

    @property
    def words(self) -> str:
        """For the addresses of this list's other pages: ends in `&` unless empty."""
        kept = urlencode({name: value for name, value in self.given.items() if value})
        return f"{kept}&" if kept else ""


def of(sent: Mapping[str, str], *, at: datetime) -> Asked:
    """What an address asks for at `at`. Raises `InvalidRequest`, which names the field."""
    given = {name: text(sent, name) for name in _FIELDS}
    given["server"] = given["server"] or text(sent, "q")
    one_of("range", given["range"], tuple(RANGES))
    one_of("errors", given["errors"], ("1",))
    since, until = moment("from", given["from"]), moment("to", given["to"])
    if given["range"] and since is None and until is None:
        since = at - RANGES[given["range"]].length
    only = SessionFilter(given["server"], given["client"], bool(given["errors"]), since, until)
    return Asked(given, only)
