"""What goes from a session to its delivery and comes back settled: the events of one batch of records."""

from __future__ import annotations

from typing import NamedTuple

from km_client.agent.position import Marks


class Outgoing(NamedTuple):
    """One event as it is shipped."""

    event_id: str
    body: bytes


class Parcel:
    """Some events of one run, in order. Settled once each is stored or refused; dropped if its session starts over."""

    def __init__(self, run: str, events: list[Outgoing], after: bytes, needed: Marks, *, urgent: bool = False) -> None:
        self.run = run
        self.events = events
        self.after = after  # the session's position once all of these are settled
        self.needed = needed  # and what of its journal is still needed then
        self.urgent = urgent  # the session is over: nothing more will join this batch
        self.unsettled = len(events)
        self.bytes = sum(len(event.body) for event in events)
        self.dropped = False

    @property
    def is_settled(self) -> bool:
        return self.unsettled == 0
