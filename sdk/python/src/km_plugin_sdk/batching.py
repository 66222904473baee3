"""Collect items and deliver them together, without ever holding more than a fixed number.

    batcher = Batcher(client.send, size=64, interval=1.0)
    batcher.add(event)            # returns at once while there is room
    batcher.close(timeout=1.5)    # delivers the rest

A batch goes out when `size` items wait or the oldest has waited `interval` seconds. When `capacity` items wait, `add`
waits for room: that is the back-pressure, and the host sees it as a slow plugin. After `patience` seconds it gives up
and counts the item as dropped. A delivery that fails is counted and logged, and the next one is tried.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class Batcher(Generic[T]):
    """Delivers from a thread of its own. `delivered`, `dropped` and `failed` count items."""

    def __init__(
        self,
        deliver: Callable[[Sequence[T]], object],
        *,
        size: int = 64,
        interval: float = 1.0,
        capacity: int = 4096,
        patience: float = 1.0,  # below the host's deadline for a call
    ) -> None:
        if not 0 < size <= capacity:
            raise ValueError(f"size must be between 1 and capacity ({capacity}), not {size}")
        self.delivered = self.dropped = self.failed = 0
        self.last_error = ""
        self._deliver, self._size, self._interval = deliver, size, interval
        self._capacity, self._patience = capacity, patience
        self._items: deque[tuple[float, T]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="km-batcher", daemon=True)
        self._thread.start()

    def add(self, item: T) -> bool:
        """Whether the item was taken; False: there was no room within `patience`, or the batcher is closed."""
        with self._changed:
            has_room = self._changed.wait_for(
                lambda: self._closing or len(self._items) < self._capacity, timeout=self._patience
            )
            if not has_room or self._closing:
                self.dropped += 1
                return False
            self._items.append((time.monotonic(), item))
            if len(self._items) in {1, self._size}:  # the moments the thread waits for
                self._changed.notify_all()
            return True

    def close(self, timeout: float = 1.5) -> int:
        """Deliver what waits, for at most `timeout` seconds; returns how many items were left behind."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        return len(self._items)

    def _run(self) -> None:
        while batch := self._next():
            try:
                self._deliver(batch)
            except Exception as error:  # noqa: BLE001 - whatever a delivery does, the next one is tried
                self.failed += len(batch)
                self.last_error = str(error)
                _LOG.warning("%d items were not delivered: %s", len(batch), error)
            else:
                self.delivered += len(batch)

    def _next(self) -> list[T]:
        """The next batch, waited for; empty when the batcher is closed and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closing)
            if self._items:
                due = self._items[0][0] + self._interval
                self._changed.wait_for(self._is_full, timeout=max(0.0, due - time.monotonic()))
            batch = [self._items.popleft()[1] for _ in range(min(self._size, len(self._items)))]
            self._changed.notify_all()
            return batch

    def _is_full(self) -> bool:
        return self._closing or len(self._items) >= self._size
