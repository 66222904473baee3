"""Collect items and deliver them together, without ever holding more than a fixed number, or weight.

    batcher = Batcher(client.send, size=64, interval=1.0)
    batcher.add(event)            # returns at once while there is room
    batcher.close(timeout=1.5)    # delivers the rest

A batch goes out when `size` items wait or the oldest has waited `interval` seconds. While the batcher is full, `add`
waits for room: that is the back-pressure, and the host sees it as a slow plugin. After `patience` seconds it gives up
and counts the item as dropped. A delivery that fails is counted and logged, and the next one is tried; one that raises
`TryLaterError` is put back, and the batcher pauses. While it pauses nobody waits: a full batcher drops what is oldest.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from km_plugin_sdk.errors import TryLaterError

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class _Waiting(NamedTuple, Generic[T]):
    since: float
    weight: int
    item: T


class Batcher(Generic[T]):
    """Delivers from a thread of its own. `delivered`, `dropped` and `failed` count items.

    `weigh` says what an item weighs, in whatever `most_weight` is counted in; without it only `capacity` counts.
    """

    def __init__(
        self,
        deliver: Callable[[Sequence[T]], object],
        *,
        size: int = 64,
        interval: float = 1.0,
        capacity: int = 4096,
        patience: float = 1.0,  # below the host's deadline for a call
        weigh: Callable[[T], int] = lambda _: 0,
        most_weight: int = 0,
    ) -> None:
        if not 0 < size <= capacity:
            raise ValueError(f"size must be between 1 and capacity ({capacity}), not {size}")
        self.delivered = self.dropped = self.failed = 0
        self.last_error = ""
        self._deliver, self._size, self._interval = deliver, size, interval
        self._capacity, self._patience = capacity, patience
        self._weigh, self._most_weight, self._weight = weigh, most_weight, 0
        self._items: deque[_Waiting[T]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._paused_until = 0.0  # of the monotonic clock; infinite: until `resume`
        self._thread = threading.Thread(target=self._run, name="km-batcher", daemon=True)
        self._thread.start()

    def add(self, item: T, *, patience: float | None = None) -> bool:
        """Whether the item was taken; False: there was no room within `patience`, or the batcher is closed."""
        new = _Waiting(time.monotonic(), self._weigh(item), item)
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or self._is_paused() or self._has_room(weight=new.weight),
                timeout=self._patience if patience is None else patience,
            )
            if not self._closing and self._is_paused():
                self._make_room(weight=new.weight)
            if self._closing or not self._has_room(weight=new.weight):
                self.dropped += 1
                return False
            self._append(new)
            return True

    def add_all(self, items: Sequence[T]) -> int:
        """How many of `items` were taken, in order; `patience` is for all of them together."""
        until = time.monotonic() + self._patience
        return sum(self.add(item, patience=max(0.0, until - time.monotonic())) for item in items)

    def pause(self, seconds: float = math.inf) -> None:
        """Deliver nothing for so long, or until `resume`."""
        with self._changed:
            self._paused_until = time.monotonic() + seconds
            self._changed.notify_all()

    def resume(self) -> None:
        with self._changed:
            self._paused_until = 0.0
            self._changed.notify_all()

    def close(self, timeout: float = 1.5) -> int:
        """Deliver what waits, for at most `timeout` seconds and unless paused; returns how many items were left."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        return len(self._items)

    # --- the batcher's own thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        while batch := self._next():
            try:
                self._deliver([waiting.item for waiting in batch])
            except TryLaterError as later:
                self._put_back(batch, later)
            except Exception as error:  # noqa: BLE001 - whatever a delivery does, the next one is tried
                self.failed += len(batch)
                self.last_error = str(error)
                _LOG.warning("%d items were not delivered: %s", len(batch), error)
            else:
                self.delivered += len(batch)

    def _next(self) -> list[_Waiting[T]]:
        """The next batch, waited for; empty when the batcher is closed and nothing is left that may be delivered."""
        with self._changed:
            self._wait_for_work()
            while self._items and not self._is_paused():
                due = self._items[0].since + self._interval
                self._changed.wait_for(self._is_due, timeout=max(0.0, due - time.monotonic()))
                if not self._is_paused():
                    return self._taken()
                self._wait_for_work()
            return []

    def _wait_for_work(self) -> None:
        while not self._closing and (not self._items or self._is_paused()):
            left = max(0.0, self._paused_until - time.monotonic())
            self._changed.wait(left if self._items and left < math.inf else None)

    def _put_back(self, batch: list[_Waiting[T]], later: TryLaterError) -> None:
        with self._changed:
            self.last_error = str(later)
            self._paused_until = time.monotonic() + later.after
            for waiting in reversed(batch):
                self._items.appendleft(waiting)
                self._weight += waiting.weight
            self._make_room(count=0)
            self._changed.notify_all()

    # --- with the lock held ------------------------------------------------------------------------------------------

    def _append(self, waiting: _Waiting[T]) -> None:
        self._items.append(waiting)
        self._weight += waiting.weight
        if len(self._items) in {1, self._size}:  # the moments the thread waits for
            self._changed.notify_all()

    def _pop(self) -> _Waiting[T]:
        waiting = self._items.popleft()
        self._weight -= waiting.weight
        return waiting

    def _taken(self) -> list[_Waiting[T]]:
        batch = [self._pop() for _ in range(min(self._size, len(self._items)))]
        self._changed.notify_all()
        return batch

    def _make_room(self, *, count: int = 1, weight: int = 0) -> None:
        while not self._has_room(count=count, weight=weight):
            self._pop()
            self.dropped += 1

    def _has_room(self, *, count: int = 1, weight: int = 0) -> bool:
        """For so many more items, of that weight. A lone item is always taken, whatever it weighs."""
        items, most = len(self._items) + count, self._most_weight
        return items <= 1 or (items <= self._capacity and (not most or self._weight + weight <= most))

    def _is_paused(self) -> bool:
        return time.monotonic() < self._paused_until

    def _is_due(self) -> bool:
        return self._closing or self._is_paused() or len(self._items) >= self._size
