"""The events that wait for one server, cut into batches by count, bytes and age. Shared by two threads.

outbox.put(parcel)                  the agent's loop, if `outbox.has_room()`
batch = outbox.next_batch()         the delivery's thread: waits until one is worth sending; [] when closed
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import NamedTuple

from km_client.agent.parcel import Outgoing, Parcel

BATCH_EVENTS = 500  # a request the server answers well within its timeouts
BATCH_BYTES = 1024 * 1024
BATCH_SECONDS = 1.0  # how long a single event waits for company: what a person watching live still takes for live
ROOM_BYTES = 16 * 1024 * 1024  # what is understood ahead of the server; the rest waits on disk


class Item(NamedTuple):
    """One event as it is sent, and as it was before it had to be shortened."""

    parcel: Parcel
    event: Outgoing
    full: Outgoing


class Outbox:
    """A queue of parcels, handed out as batches of their events."""

    def __init__(self) -> None:
        self.batch_bytes = BATCH_BYTES
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._woken = threading.Event()
        self._waiting_bytes = 0
        self._oldest_at = 0.0
        self._closed = False
        self._hurried = False

    def has_room(self) -> bool:
        return self._waiting_bytes < ROOM_BYTES

    def put(self, parcel: Parcel) -> None:
        with self._changed:
            if not self._items:
                self._oldest_at = time.monotonic()
            self._items.extend(Item(parcel, event, event) for event in parcel.events)
            self._waiting_bytes += parcel.bytes
            self._hurried = self._hurried or parcel.urgent
            self._changed.notify_all()

    def next_batch(self) -> list[Item]:
        """The next events to send; waits for enough of them, for the oldest to be old enough, or for an urgent one."""
        with self._changed:
            while not self._closed and not self._is_ripe():
                left = self._oldest_at + BATCH_SECONDS - time.monotonic() if self._items else None
                self._changed.wait(left)
            return [] if self._closed else self._take()

    def settled(self, items: list[Item]) -> None:
        """These need no room any more."""
        with self._changed:
            self._waiting_bytes -= sum(len(item.full.body) for item in items)

    def pause(self, seconds: float) -> None:
        """Wait on the delivery's thread, whatever else arrives, until `wake` or `close` at most."""
        self._woken.clear()
        if not self._closed:
            self._woken.wait(seconds)

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._woken.set()

    @property
    def is_closed(self) -> bool:
        return self._closed

    def _is_ripe(self) -> bool:
        if not self._items:
            return False
        enough = len(self._items) >= BATCH_EVENTS or self._waiting_bytes >= self.batch_bytes
        return enough or self._hurried or time.monotonic() >= self._oldest_at + BATCH_SECONDS

    def _take(self) -> list[Item]:
        batch: list[Item] = []
        size = 0
        while self._items and len(batch) < BATCH_EVENTS:
            size += len(self._items[0].event.body)
            if batch and size > self.batch_bytes:
                break
            batch.append(self._items.popleft())
        if not self._items:
            self._hurried = False
        return batch
