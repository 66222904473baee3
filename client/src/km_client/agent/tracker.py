"""One session, from its journal to the server: understands at its head, ships behind it, and forgets nothing between.

`head` reads what is new: each batch of records is written down (see `checkpoint`), then logged. `behind` reads again
what could not be shipped when it was new, because the server was away or there was no key; while the server keeps up
there is none, and the head's events are shipped as they are. Both derive the same events from the same records.
Segments are deleted once every event in them is settled and the checkpoint says so. If a call raises, the tracker is
of no more use: `abandon` it and make another, which goes on from the checkpoint as after a crash.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from km_protocol.envelope import Event

from km_client.agent import reading
from km_client.agent.checkpoint import Batch, Checkpoint, CheckpointFile
from km_client.agent.derivation import ALWAYS, Derivation, Identity
from km_client.agent.events import MAX_SESSION_ID
from km_client.agent.handshake import Handshake
from km_client.agent.local_log import LocalLog
from km_client.agent.outbox import Outbox
from km_client.agent.parcel import Outgoing, Parcel
from km_client.agent.position import Marks, Position, decode, encode, losses_of
from km_client.agent.redaction import Redactor
from km_client.agent.watch import Watch
from km_client.capture.journal import DIRECTIONS
from km_client.capture.spool import Session, SessionSpool

Feed = Callable[[Sequence[Event]], None]  # takes each new event once, in order, and never waits: the plugins


class Tracker:
    """One run. `advance` does one bounded piece of work; the service calls it in turn for every session."""

    def __init__(
        self,
        spool: SessionSpool,
        session: Session,
        checkpoint: CheckpointFile,
        redactor: Redactor,
        log: LocalLog,
        feed: Feed,
    ) -> None:
        self.spool = spool
        self.session = session
        self.watch = Watch(spool.path)
        self.is_removed = False
        self.losses_at_end: list[tuple[int, int]] = []
        self.is_saved = True
        self._redactor = redactor
        self._log = log
        self._feed = feed
        self._file = checkpoint
        self._identity = Identity(spool.name, session.session_id[:MAX_SESSION_ID], session.has_whole_messages)
        self._behind: Derivation | None = None
        self._parcels: deque[Parcel] = deque()
        self._seams: list[Marks] = []
        self._more = True
        self._restore(checkpoint.load())

    @property
    def position(self) -> Position:
        """How far the session is understood."""
        return self.head.position

    @property
    def waiting_events(self) -> int:
        """Understood but not settled."""
        return self.position.sequence - decode(self._shipped).sequence

    def losses(self) -> dict[str, tuple[int, int]]:
        """What was forwarded but not recorded: reason → (records, bytes), told by a gap in the stream or not yet."""
        return losses_of(self.position, reading.status_of(self.spool))

    @property
    def is_complete(self) -> bool:
        """Whether the session is over, and all of it settled."""
        return self.position.finished and self._behind is None and not self._parcels

    def advance(self, outbox: Outbox | None) -> bool:
        """Read, log or ship some; whether there was something to do. Without an `outbox` nothing is shipped.

        Raises `OSError` and `JournalError` when the journal cannot be read.
        """
        settled = self._collect_settled()
        caught_up = outbox is not None and self._catch_up(outbox)
        went_on = self._go_on(outbox)
        if self.is_complete:
            self._remove()
        return settled or caught_up or went_on

    def start_over(self, redactor: Redactor) -> None:
        """Derive again what is not settled: it goes to another server or by other rules now."""
        self.abandon()
        self._redactor = redactor
        self.head = self._resume(encode(self.position))
        self._fall_back()

    def abandon(self) -> None:
        """Take back what waits in an outbox."""
        for parcel in self._parcels:
            parcel.dropped = True
        self._parcels.clear()

    def _restore(self, checkpoint: Checkpoint | None) -> None:
        if checkpoint is None:
            self._shipped = encode(Position(Handshake.of(self.session, self._redactor)))
            self.head = self._resume(self._shipped)
            return
        self._shipped, self._seams = bytes(checkpoint.shipped), checkpoint.seams
        self.head = self._resume(bytes(checkpoint.head))
        if checkpoint.batch is not None:
            self._replay(checkpoint.batch)
        self._fall_back()

    def _fall_back(self) -> None:
        """Ship again from where everything before is settled."""
        is_level = self.session.local_only or self._shipped == encode(self.position)
        self._behind = None if is_level else self._resume(self._shipped)

    def _resume(self, position: bytes) -> Derivation:
        return Derivation.resume(self.spool, self._identity, decode(position), self._redactor)

    def _replay(self, batch: Batch) -> None:
        """Take the batch that was written down before the end; what of it was not logged is logged and fed now."""
        known = self._log.known_ids()
        over = self.spool.is_over()
        is_all = False
        while not is_all:
            events, is_all, _ = reading.read(self.spool, self.head, until=batch.marks, over=over, now_ns=ALWAYS)
            if is_all and batch.finishes:
                events += self.head.finish(reading.status_of(self.spool))
            new = [event for event in events if event.id not in known]
            self._log.write(map(msgspec.json.encode, new))
            self._feed(new)

    def _go_on(self, outbox: Outbox | None) -> bool:
        """Take the next batch at the head."""
        over = self.spool.is_over()
        if self.position.finished or not (over or self._more or self.watch.has_news()):
            return False
        before, start = encode(self.position), self.position.marks
        events, is_all, is_late = reading.read(self.spool, self.head, until=None, over=over, now_ns=time.monotonic_ns())
        self._more = not is_all
        finishes = over and is_all
        if finishes:
            events += self.head.finish(reading.status_of(self.spool))
        if self.position.marks == start and not finishes:
            return False
        if is_late:
            self._seams.append(start)
        self._save(before, Batch(self.position.marks, finishes))
        outgoing = _encoded(events)
        self._log.write(event.body for event in outgoing)
        self._feed(events)
        self._hand_over(outgoing, before, outbox)
        return True

    def _hand_over(self, events: list[Outgoing], before: bytes, outbox: Outbox | None) -> None:
        if self.session.local_only:
            self._shipped = encode(self.position)
            self._acknowledge(self.position.needed)
        elif self._behind is None and outbox is not None and outbox.has_room():
            self._put(outbox, events, self.position)
        elif self._behind is None:
            self._behind = self._resume(before)

    def _catch_up(self, outbox: Outbox) -> bool:
        """Ship the next batch of what is behind; whether there was one."""
        behind, goal = self._behind, self.position.marks
        if behind is None or not outbox.has_room():
            return False
        until = next((seam for seam in self._seams if not reading.has_passed(behind.position.marks, seam)), goal)
        events, is_all, _ = reading.read(self.spool, behind, until=until, over=self.spool.is_over(), now_ns=ALWAYS)
        behind.listed.clear()  # the head has noted them
        if is_all:  # also where the cap has taken the very record that `until` names
            for direction in DIRECTIONS:
                side = behind.position.side(direction)
                side.done = max(side.done, until[direction])
        if is_all and until is goal:
            if self.position.finished and not behind.position.finished:
                events += behind.finish(reading.status_of(self.spool))
            self.position.sequence = max(self.position.sequence, behind.position.sequence)
            self._behind = None
        self._put(outbox, _encoded(events), behind.position)
        return True

    def _put(self, outbox: Outbox, events: list[Outgoing], after: Position) -> None:
        parcel = Parcel(self.spool.name, events, encode(after), after.needed, urgent=after.finished)
        self._parcels.append(parcel)
        if events:
            outbox.put(parcel)

    def _collect_settled(self) -> bool:
        needed: Marks | None = None
        while self._parcels and self._parcels[0].is_settled:
            parcel = self._parcels.popleft()
            self._shipped, needed = parcel.after, parcel.needed
        if needed is not None:
            self._acknowledge(needed)
        return needed is not None

    def _acknowledge(self, needed: Marks) -> None:
        """Everything before `needed` is settled: say so in the checkpoint, then delete it."""
        self._seams = [seam for seam in self._seams if not reading.has_passed(decode(self._shipped).marks, seam)]
        if self._save(encode(self.position), None):
            for direction in DIRECTIONS:
                self.spool.acknowledge(direction, needed[direction])

    def _save(self, head: bytes, batch: Batch | None) -> bool:
        """Whether the checkpoint is written. On a full disk the session goes on without: it then deletes nothing that
        is not settled as a whole, and what a crash would make it ship again, the server knows by its ids.
        """
        try:
            self._file.save(Checkpoint(msgspec.Raw(self._shipped), msgspec.Raw(head), batch, self._seams))
        except OSError:
            self.is_saved = False
        else:
            self.is_saved = True
        return self.is_saved

    def _remove(self) -> None:
        """The journal first: a checkpoint without a journal is nothing, but a journal without one starts over."""
        self.losses_at_end = list(self.losses().values())
        self._log.ended(self._identity.session_id, local_only=self.session.local_only)
        self.spool.remove()
        self._file.remove()
        self.is_removed = True


def tracker_for(spool: SessionSpool, checkpoints: Path, redactor: Redactor, log: LocalLog, feed: Feed) -> Tracker:
    """A tracker that goes on where the last one stood. Raises `OSError` and `JournalError`."""
    checkpoint = CheckpointFile(checkpoints / f"{spool.name}.checkpoint")
    return Tracker(spool, spool.session(), checkpoint, redactor, log, feed)


def _encoded(events: list[Event]) -> list[Outgoing]:
    return [Outgoing(event.id, msgspec.json.encode(event)) for event in events]
