"""The deliveries in use: one per server and key, started when first needed, stopped when no session needs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path

from km_client.agent.delivery import Delivery, Destination
from km_client.agent.health import Health
from km_client.agent.refusals import RefusalStore

STOP_SECONDS = 5.0  # for the requests under way; what they carried is sent again otherwise


class Fleet:
    """Deliveries by destination. A downed server holds up its own only."""

    def __init__(self, refused: Path, wake: Callable[[], None]) -> None:
        self._refused = refused
        self._wake = wake
        self._deliveries: dict[Destination, Delivery] = {}

    def to(self, destination: Destination) -> Delivery:
        """The running delivery to `destination`."""
        if destination not in self._deliveries:
            delivery = Delivery(destination, RefusalStore(self._refused), wake=self._wake)
            delivery.start()
            self._deliveries[destination] = delivery
        return self._deliveries[destination]

    def keep_only(self, needed: Collection[Destination]) -> list[Health]:
        """Stop the others; how those stood at the end."""
        unneeded = [self._deliveries.pop(to) for to in list(self._deliveries) if to not in needed]
        for delivery in unneeded:
            delivery.outbox.close()
        deadline = time.monotonic() + STOP_SECONDS
        for delivery in unneeded:
            delivery.stop(deadline - time.monotonic())
        return [delivery.health for delivery in unneeded]

    def retry_now(self) -> None:
        """Something changed that may help those that wait."""
        for delivery in self._deliveries.values():
            delivery.retry_now()

    def is_paused(self, destination: Destination) -> bool:
        """Whether only a person can make it go on."""
        return destination in self._deliveries and self._deliveries[destination].health.state == "paused"

    def healths(self) -> list[Health]:
        return [delivery.health for delivery in self._deliveries.values()]
