"""When and where to take up an event stream that broke off (2025-11-25, "Resumability and Redelivery")."""

from __future__ import annotations

RETRY_SECONDS = 1.0  # where the server names no `retry`
MAX_RETRY_SECONDS = 30.0
MAX_ATTEMPTS = 5  # in a row, without an event in between


class Resumption:
    """Where a stream broke off, and when to try again: what the server asked for, then longer and longer."""

    def __init__(self) -> None:
        self.last_event_id = b""
        self._retry_seconds = RETRY_SECONDS
        self._attempts = 0

    def learn(self, event_id: bytes | None, retry_ms: int | None) -> None:
        """An event came."""
        self._attempts = 0
        if event_id is not None:
            self.last_event_id = event_id
        if retry_ms is not None:
            self._retry_seconds = retry_ms / 1000

    def may_retry(self) -> bool:
        return self._attempts < MAX_ATTEMPTS

    def wait_seconds(self) -> float:
        """How long to wait before the next attempt, which this counts."""
        self._attempts += 1
        seconds = self._retry_seconds * 2.0 ** (self._attempts - 1)
        return min(seconds, max(MAX_RETRY_SECONDS, self._retry_seconds))
