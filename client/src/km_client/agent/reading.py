"""The next records of a session through a derivation: a bounded batch of them, in the order that is always the same."""

from __future__ import annotations

from typing import NamedTuple, cast

from km_protocol.envelope import Direction, Event

from km_client.agent.correlation import opposite
from km_client.agent.derivation import Derivation
from km_client.agent.position import Marks, Position
from km_client.capture.journal import DIRECTIONS, JournalError
from km_client.capture.spool import Mark, SessionSpool
from km_client.capture.status import Status

BATCH_EVENTS = 2_000  # four requests' worth; what is understood in well under a second
BATCH_BYTES = 4 * 1024 * 1024


class Batch(NamedTuple):
    """`is_all` says that nothing is left to read for now; `is_late`, that a record came after its moment had passed."""

    events: list[Event]
    is_all: bool
    is_late: bool


def read(spool: SessionSpool, derivation: Derivation, *, until: Marks | None, over: bool, now_ns: int) -> Batch:
    """Read on from where `derivation` stands, no further than `until`, and stop after a batch."""
    position = derivation.position
    events: list[Event] = []
    size = 0
    is_late = False
    beyond: set[str] = set()
    for record in spool.records(position.marks, over=over, now_ns=now_ns):
        direction, here = cast(Direction, record.direction), Mark(record.segment, record.offset)
        if until and here >= until[direction]:
            beyond.add(direction)
            if _has_reached(position, until, beyond):
                break
            continue
        if here < position.side(direction).done and not record.lost:
            continue  # a power cut took back what was read: it is not read twice
        is_late = is_late or record.monotonic_ns <= position.side(opposite(direction)).last_ns
        events += derivation.take(record)
        size += len(record.payload)
        if len(events) >= BATCH_EVENTS or size >= BATCH_BYTES:
            return Batch(events, False, is_late)
    return Batch(events, True, is_late)


def status_of(spool: SessionSpool) -> Status | None:
    """What the relay counted; `None` where that cannot be read, for it only adds what no record tells."""
    try:
        return spool.status()
    except (OSError, JournalError):
        return None


def has_passed(marks: Marks, place: Marks) -> bool:
    """Whether reading from `marks` on is reading behind `place`."""
    return all(marks[direction] >= place[direction] for direction in DIRECTIONS)


def _has_reached(position: Position, until: Marks, beyond: set[str]) -> bool:
    return all(name in beyond or position.side(name).done >= until[name] for name in DIRECTIONS)
