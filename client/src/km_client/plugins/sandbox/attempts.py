"""What a plugin tried and was refused: a bounded list with counts.

    Attempt(call='connect', target='203.0.113.7:443', refused='reaching another program', count=3, first_ns=…, …)

A plugin cannot fill it: each different attempt is one row, the rows are capped, and what does not fit is counted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

MOST_ROWS = 200
LONGEST_TARGET = 300  # a path longer than this is cut: it is shown to people
Listener = Callable[["Attempt"], None]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing that was tried `count` times. `target` is a path, an address, a process or a set of flags."""

    call: str
    target: str
    refused: str
    count: int
    first_ns: int  # Unix time
    last_ns: int


class AttemptLog:
    """Written by the notifier's thread, read by anyone. `on_new` is told once about each different attempt."""

    def __init__(self, on_new: Listener | None = None) -> None:
        self._rows: dict[tuple[str, str], Attempt] = {}
        self._unlisted = 0
        self._lock = threading.Lock()
        self._on_new = on_new

    def add(self, call: str, target: str, refused: str, at_ns: int) -> None:
        key = call, target[:LONGEST_TARGET]
        with self._lock:
            known = self._rows.get(key)
            if known is None and len(self._rows) >= MOST_ROWS:
                self._unlisted += 1
                return
            row = (
                replace(known, count=known.count + 1, last_ns=at_ns)
                if known
                else Attempt(*key, refused, 1, at_ns, at_ns)
            )
            self._rows[key] = row
        if known is None and self._on_new is not None:
            self._on_new(row)

    def rows(self) -> list[Attempt]:
        """In the order in which each was first tried."""
        with self._lock:
            return list(self._rows.values())

    @property
    def unlisted(self) -> int:
        """How many attempts found the list full."""
        return self._unlisted
