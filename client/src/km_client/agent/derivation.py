"""From records to events, in the order of the stream: the same records give the same events, ids included.

    derivation = Derivation.resume(spool, identity, position, redactor)
    for record in spool.records(derivation.position.marks, …): events += derivation.take(record)
    if over: events += derivation.finish(spool.status())

Secrets are gone from every event that leaves here. A gap in the recording ends the line it cuts, and is an event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, cast

import msgspec
from km_protocol.envelope import Direction, Event

from km_client.agent import exchange_records, understanding
from km_client.agent.correlation import NO_EXCHANGE, Relation
from km_client.agent.events import MAX_TEXT, Place, Scene, as_it_travels, event_id, gap_event, message_event
from km_client.agent.position import Position, Side
from km_client.agent.redaction import Redactor
from km_client.agent.understanding import Message
from km_client.capture.journal import DIRECTIONS
from km_client.capture.losses import Loss
from km_client.capture.spool import Mark, SessionSpool, SpoolRecord
from km_client.capture.status import Status
from km_client.proxy.framing import Frame, FrameSplitter

KEEP_FRAME_BYTES = 32 * 1024 * 1024  # twice the longest message that is shipped whole: still understood, then cut
MAX_NAMES = 1_000  # that were looked at, and are remembered: a session repeats a few
ALWAYS = 2**63 - 1  # as "now": every record is old enough
NOTHING = Mark(2**63 - 1, 0)  # no segment stands after it


class Identity(NamedTuple):
    """Which session: `run` names its directory, `session_id` is what the person sees. `has_whole_messages` says how its
    records are read.
    """

    run: str
    session_id: str
    has_whole_messages: bool = False


class Moment(NamedTuple):
    """When something was read: the monotonic clock for durations, Unix time for people."""

    monotonic_ns: int
    unix_ns: int


class Listed(NamedTuple):
    """A page of a server's tools as the server sent it; `None` where a list is asked for from its beginning."""

    content: bytes | None
    at_ns: int  # Unix time, of each page another


class Derivation:
    """One reader of one session. `position` moves with every call; `redactions` counts what was taken out, by kind;
    `listed` are the lists of tools that passed. Whoever takes from these two empties them.
    """

    def __init__(self, identity: Identity, position: Position, redactor: Redactor) -> None:
        self.identity = identity
        self.position = position
        self.redactions: dict[str, int] = {}
        self.listed: list[Listed] = []
        self._redactor = redactor
        self._names: dict[str, str] = {}
        self._listed_ns = 0
        self._exchange = NO_EXCHANGE
        self._splitters = {direction: FrameSplitter(KEEP_FRAME_BYTES) for direction in DIRECTIONS}

    @classmethod
    def resume(cls, spool: SessionSpool, identity: Identity, position: Position, redactor: Redactor) -> Derivation:
        """Go on at `position`: the beginning of a frame that was unfinished there is read again."""
        derivation = cls(identity, position, redactor)
        for direction in DIRECTIONS:
            side = position.side(direction)
            if side.frame != side.done and not position.finished:
                derivation._read_again(spool, direction, side)
        return derivation

    def take(self, record: SpoolRecord) -> list[Event]:
        """The events that `record` completes."""
        direction = cast(Direction, record.direction)
        side, splitter = self.position.side(direction), self._splitters[direction]
        moment = Moment(record.monotonic_ns, record.unix_ns)
        after = Mark(record.segment, record.end_offset)
        side.done, side.last_ns, side.last_unix_ns = after, max(side.last_ns, moment.monotonic_ns), moment.unix_ns
        if record.lost:
            side.frame, side.skip = after, 0
            return [*self._cut_line(direction, moment), *self._gaps(direction, record.lost, moment)]
        if self.identity.has_whole_messages:
            side.frame, side.skip = after, 0
            return list(self._entry(direction, exchange_records.read(record.payload), moment))
        frames = splitter.feed(record.payload)
        unfinished = splitter.pending_bytes
        if not unfinished:
            side.frame, side.skip = after, 0
        elif frames or unfinished == len(record.payload):
            side.frame, side.skip = Mark(record.segment, record.offset), len(record.payload) - unfinished
        return [event for frame in frames for event in self._line(direction, frame, moment)]

    def finish(self, status: Status | None) -> list[Event]:
        """The end of the session: last lines without a line feed, and losses that no record tells of."""
        self.position.finished = True
        return [event for direction in DIRECTIONS for event in self._end(direction, status)]

    def _read_again(self, spool: SessionSpool, direction: str, side: Side) -> None:
        marks = {**dict.fromkeys(DIRECTIONS, NOTHING), direction: side.frame}
        for record in spool.records(marks, over=False, now_ns=ALWAYS):
            here = Mark(record.segment, record.offset)
            if here >= side.done:
                return
            if record.lost:  # given up since: take the gap from here, and what follows it
                side.done = here
                return
            self._splitters[direction].feed(record.payload[side.skip :] if here == side.frame else record.payload)

    def _end(self, direction: Direction, status: Status | None) -> Iterator[Event]:
        side = self.position.side(direction)
        moment = Moment(side.last_ns, side.last_unix_ns)
        if frame := self._splitters[direction].flush():
            yield from self._line(direction, frame, moment)
        if status is not None:
            ended = Moment(side.last_ns, status.ended_at_unix_ns or side.last_unix_ns)
            losses = status.request.lost if direction == "request" else status.response.lost
            yield from self._gaps(direction, _untold(losses, side.told), ended)

    def _line(self, direction: Direction, frame: Frame, moment: Moment) -> Iterator[Event]:
        messages = (understanding.part_of_line(frame),) if frame.is_cut else understanding.understand(frame)
        for message in messages:
            size = frame.size if len(messages) == 1 else len(message.content)
            yield self._message(message, self._next_place(direction, moment), moment, size, is_cut=frame.is_cut)

    def _entry(self, direction: Direction, entry: exchange_records.Read, moment: Moment) -> Iterator[Event]:
        self._exchange = entry.exchange
        for message in entry.messages:
            size = entry.size if len(entry.messages) == 1 else len(message.content)
            yield self._message(message, self._next_place(direction, moment), moment, size, is_cut=entry.is_cut)
        self._exchange = NO_EXCHANGE

    def _cut_line(self, direction: Direction, moment: Moment) -> Iterator[Event]:
        """What was recorded of the line in which a gap begins."""
        if frame := self._splitters[direction].flush():
            message = understanding.part_of_line(frame)
            yield self._message(message, self._next_place(direction, moment), moment, frame.size, is_cut=True)

    def _gaps(self, direction: Direction, losses: Iterable[Loss], moment: Moment) -> Iterator[Event]:
        told = self.position.side(direction).told
        for loss in losses:
            records, size = told.get(loss.reason, (0, 0))
            told[loss.reason] = (records + loss.records, size + loss.bytes)
            yield gap_event(self._scene(), self._next_place(direction, moment), loss)
            if loss.reason == "capped":
                # No two events of a session may bear one number, whether or not an agent saw what is lost here.
                self.position.sequence += loss.bytes

    def _message(self, message: Message, at: Place, moment: Moment, size: int, *, is_cut: bool) -> Event:
        relation = self.position.conversation.relate(
            message, at.direction, at.event_id, moment.monotonic_ns, self._exchange
        )
        self.position.handshake.learn(message, relation, self._redactor)
        self._note_list(message, relation, moment)
        content, counts = self._redactor.redact(message.content, is_cut=is_cut)
        if counts:
            for kind, count in counts.items():
                self.redactions[kind] = self.redactions.get(kind, 0) + count
            message = as_it_travels(message, content)
        relation = msgspec.structs.replace(relation, method=self._name(relation.method), tool=self._name(relation.tool))
        return message_event(self._scene(), message, relation, at=at, size=size, is_cut=is_cut)

    def _name(self, name: str | None) -> str | None:
        """A method's or a tool's name without secrets. An answer bears its request's, so it is not the answer's own."""
        if not name or len(name) > MAX_TEXT:
            return name and self._redactor.text(name)
        if name not in self._names:
            if len(self._names) >= MAX_NAMES:
                self._names.clear()
            self._names[name] = self._redactor.text(name)
        return self._names[name]

    def _note_list(self, message: Message, relation: Relation, moment: Moment) -> None:
        if relation.method != "tools/list":
            return
        if message.kind == "response":
            self._listed_ns = max(moment.unix_ns, self._listed_ns + 1)
            self.listed.append(Listed(message.content, self._listed_ns))
        elif message.kind == "request" and message.body.cursor is None:
            self.listed.append(Listed(None, moment.unix_ns))

    def _scene(self) -> Scene:
        return Scene(self.identity.session_id, self.position.handshake.server, self.position.handshake.client)

    def _next_place(self, direction: Direction, moment: Moment) -> Place:
        sequence = self.position.sequence
        self.position.sequence += 1
        return Place(direction, sequence, moment.unix_ns, event_id(self.identity.run, sequence, moment.unix_ns))


def _untold(losses: Iterable[Loss], told: dict[str, tuple[int, int]]) -> Iterator[Loss]:
    """What the relay counted, less what its gap records told. Reasons that only readers know are not among it."""
    for loss in losses:
        records, size = told.get(loss.reason, (0, 0))
        if loss.records > records:
            yield Loss(loss.reason, loss.records - records, max(0, loss.bytes - size))
