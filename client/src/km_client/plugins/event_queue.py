"""The events that wait for one plugin: bounded in number and bytes, what does not fit is counted by reason.

    >>> queue.offer(events); queue.take(64); queue.settled()

The oldest wait longest and are the ones kept: a plugin that falls behind misses the newest, and sees an unbroken
beginning. `offer` comes from any thread and never waits; `take` from the host's.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Literal

from km_plugin_sdk.wire import plugin_pb2

MOST_EVENTS = 20_000  # half a second of the fastest plugin
MOST_BYTES = 32 * 1024 * 1024  # for each plugin; a laptop runs a handful
BATCH_EVENTS = 64  # measured: larger batches gain nothing
BATCH_BYTES = 3 * 1024 * 1024  # gRPC in Go refuses messages over 4 MiB

DropReason = Literal["queue_full", "too_large", "deadline", "crash", "not_running", "refused_by_plugin"]


class EventQueue:
    """Events in the order they came. `wake` is called (in the offering thread) when an empty queue gets its first."""

    def __init__(
        self, wake: Callable[[], None], *, most_events: int = MOST_EVENTS, most_bytes: int = MOST_BYTES
    ) -> None:
        self._wake = wake
        self._most_events, self._most_bytes = most_events, most_bytes
        self._waiting: deque[tuple[plugin_pb2.StreamEvent, int]] = deque()
        self._bytes = 0
        self._under_way = 0
        self._dropped: Counter[DropReason] = Counter()
        self._lock = threading.Lock()

    def offer(self, events: Iterable[tuple[plugin_pb2.StreamEvent, int]]) -> None:
        """Take what fits of (event, its size in bytes)."""
        with self._lock:
            was_empty = not self._waiting
            for event, size in events:
                if size > BATCH_BYTES:
                    self._dropped["too_large"] += 1
                elif len(self._waiting) >= self._most_events or self._bytes + size > self._most_bytes:
                    self._dropped["queue_full"] += 1
                else:
                    self._waiting.append((event, size))
                    self._bytes += size
            wakes = was_empty and bool(self._waiting)
        if wakes:
            self._wake()

    def take(self, most: int = BATCH_EVENTS) -> list[plugin_pb2.StreamEvent]:
        """The next batch, of at most `most` events and `BATCH_BYTES`; empty when nothing waits.

        It counts as under way until `settled`.
        """
        batch: list[plugin_pb2.StreamEvent] = []
        size = 0
        with self._lock:
            while self._waiting and len(batch) < most and size + self._waiting[0][1] <= BATCH_BYTES:
                event, event_size = self._waiting.popleft()
                self._bytes -= event_size
                size += event_size
                batch.append(event)
            self._under_way = len(batch)
        return batch

    def settled(self) -> None:
        """What became of the batch that was taken is known and counted."""
        self._under_way = 0

    def drop(self, count: int, reason: DropReason) -> None:
        """Count events that were taken and did not reach the plugin, or never will."""
        with self._lock:
            self._dropped[reason] += count

    def clear(self, reason: DropReason) -> None:
        """Drop everything that waits."""
        with self._lock:
            self._dropped[reason] += len(self._waiting)
            self._waiting.clear()
            self._bytes = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def is_idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        with self._lock:
            return not self._waiting and not self._under_way

    def dropped(self) -> dict[str, int]:
        """Events lost so far, by reason; only reasons that happened."""
        with self._lock:
            return {reason: count for reason, count in sorted(self._dropped.items()) if count}
