"""How far a session is understood: all that is needed to go on exactly here, in this or another process.

A direction's `done` is where the next record stands. A frame may be unfinished there: `frame` and `skip` say in which
record it began and after how many of its bytes, so its beginning is read again rather than kept twice on disk.
"""

from __future__ import annotations

import msgspec
from km_protocol.envelope import Direction

from km_client.agent.correlation import Conversation
from km_client.agent.handshake import Handshake
from km_client.capture.journal import DIRECTIONS
from km_client.capture.spool import START, Mark
from km_client.capture.status import Status

Marks = dict[str, Mark]
"""Direction → mark."""


class Side(msgspec.Struct):
    """One direction. `told` counts what gap records told so far: reason → (records, bytes)."""

    done: Mark = START
    frame: Mark = START
    skip: int = 0
    last_ns: int = 0  # monotonic
    last_unix_ns: int = 0
    told: dict[str, tuple[int, int]] = {}


class Position(msgspec.Struct):
    """The whole session. `sequence` is the next event's; `finished` says that the end of the session was taken in."""

    handshake: Handshake
    sequence: int = 0
    request: Side = msgspec.field(default_factory=Side)
    response: Side = msgspec.field(default_factory=Side)
    conversation: Conversation = msgspec.field(default_factory=Conversation)
    finished: bool = False

    def side(self, direction: Direction) -> Side:
        return self.request if direction == "request" else self.response

    @property
    def marks(self) -> Marks:
        """Where reading goes on."""
        return {"request": self.request.done, "response": self.response.done}

    @property
    def needed(self) -> Marks:
        """Before these, nothing is needed any more."""
        return {"request": self.request.frame, "response": self.response.frame}


def losses_of(position: Position, status: Status | None) -> dict[str, tuple[int, int]]:
    """Reason → (records, bytes) over both directions: what gaps told, or what the relay counted where that is more."""
    total: dict[str, tuple[int, int]] = {}
    for direction in DIRECTIONS:
        told = dict(position.side(direction).told)
        for loss in getattr(status, direction).lost if status else ():
            told[loss.reason] = max(told.get(loss.reason, (0, 0)), (loss.records, loss.bytes))
        for reason, (records, size) in told.items():
            before = total.get(reason, (0, 0))
            total[reason] = (before[0] + records, before[1] + size)
    return total


def encode(position: Position) -> bytes:
    return msgspec.json.encode(position)


def decode(encoded: bytes) -> Position:
    """Raises `msgspec.DecodeError` on anything `encode` did not make."""
    return msgspec.json.decode(encoded, type=Position)
