"""Whether to ask a server that did not answer a moment ago: not for a while, and then one caller, for all.

    if not breaker.allows():
        raise …                    # at once: a server that hangs is a branch, not a wait
    try:
        answer = ask()
    except Silence:
        breaker.failed()
        raise
    breaker.worked()

One for each server and process, shared by its threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PAUSE_SECONDS = 3.0  # then one caller of this process tries again, for all


class Breaker:
    """Whether to ask at all: not for `pause_seconds` after a failure, and then one caller at a time."""

    def __init__(self, pause_seconds: float = PAUSE_SECONDS, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._mutex = threading.Lock()
        self._ask_at: float | None = None  # None while it works

    def allows(self) -> bool:
        """Whether this caller may ask now. After a pause the first who asks this is the one who finds out."""
        with self._mutex:
            if self._ask_at is None:
                return True
            if self._clock() < self._ask_at:
                return False
            self._ask_at = self._clock() + self._pause_seconds
            return True

    def failed(self) -> None:
        """It did not answer."""
        with self._mutex:
            self._ask_at = self._clock() + self._pause_seconds

    def worked(self) -> None:
        """It answered."""
        with self._mutex:
            self._ask_at = None
