"""The sums of one session: messages, calls, errors, how long answers took, and what it costs a model if that is asked.

Estimating tokens takes longer than everything else here: megabytes are read word by word.
"""

from __future__ import annotations

from datetime import datetime

from km_protocol.envelope import Event

from km_client import tokens
from km_client.agent.events import GAP_METHOD
from km_client.watching.calls import content, failed


class Tally:
    """`durations` are of the client's calls, in ms; `tokens` of what a model reads, `None` if not estimated."""

    def __init__(self, *, with_tokens: bool = False) -> None:
        self.events = self.calls = self.errors = self.size = self.gaps = 0
        self.tokens: int | None = 0 if with_tokens else None
        self.durations: list[float] = []
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.server = self.server_title = self.server_version = ""
        self.client = self.client_version = ""

    def take(self, event: Event) -> None:
        self.events += 1
        self.size += event.size or 0
        self.first = min(self.first or event.timestamp, event.timestamp)
        self.last = max(self.last or event.timestamp, event.timestamp)
        self._learn(event)
        self.gaps += event.method == GAP_METHOD
        if event.type == "request" and event.direction == "request":
            self.calls += 1
        elif event.type in ("response", "error") or event.duration_ms is not None:
            self.errors += failed(event)
            if event.direction == "response" and event.duration_ms is not None:
                self.durations.append(event.duration_ms)
        if self.tokens is not None and event.method in ("tools/call", "tools/list"):
            use = tokens.of_message(event.method, content(event))
            self.tokens += use.tokens if use else 0

    def percentile(self, share: float) -> float | None:
        return percentile(self.durations, share)

    def _learn(self, event: Event) -> None:
        if server := event.server_info:
            self.server, self.server_title, self.server_version = server.name, server.title, server.version
        if client := event.client_info:
            self.client, self.client_version = client.title or client.name, client.version


def percentile(values: list[float], share: float) -> float | None:
    """The nearest-rank percentile, `None` of no values."""
    if not values:
        return None
    rank = max(1, -(-len(values) * share // 1))
    return sorted(values)[int(rank) - 1]
