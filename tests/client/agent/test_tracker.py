"""A session reaches the server whole and once, in whatever order it is read, shipped, killed and begun again.

The outbox here is worked by hand: a test decides what is settled, and when the agent dies before it hears of it.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from km_client.agent.local_log import LocalLog, log_files, read_lines
from km_client.agent.outbox import Outbox
from km_client.agent.parcel import Parcel
from km_client.agent.redaction import RedactionRules, Redactor
from km_client.agent.tracker import Tracker, tracker_for
from km_client.capture import cap
from km_protocol.envelope import Event

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import Recorded, answer, call

REDACTOR = Redactor(RedactionRules())


class Hand(Outbox):
    """An outbox whose parcels the test takes and settles."""

    def __init__(self) -> None:
        super().__init__()
        self.parcels: list[Parcel] = []
        self.room = True

    def has_room(self) -> bool:
        return self.room

    def put(self, parcel: Parcel) -> None:
        self.parcels.append(parcel)


class Killed(BaseException):
    """Not an error that anything may handle."""


class MortalLog(LocalLog):
    """A log at whose next write the agent dies: before it, after it, or with half a line written."""

    dies = ""

    def write(self, events: Iterable[bytes]) -> None:
        dies, self.dies = self.dies, ""
        lines = list(events)
        if dies == "before":
            raise Killed
        super().write(lines)
        if dies == "within" and lines:
            newest = log_files(self._directory)[-1]
            os.truncate(newest, newest.stat().st_size - len(lines[-1]) // 2)
        if dies:
            raise Killed


class World:
    """One session, agents that come and go, and a server that keeps the first of what bears one id."""

    def __init__(self, machine: Path, session: Recorded) -> None:
        self.machine = machine
        self.session = session
        self.stored: dict[str, bytes] = {}
        self.log = MortalLog(machine / "log", 2**24)
        self.outbox = Hand()
        self.fed: list[Event] = []  # what plugins were given, by all agents
        self.tracker = self._agent()

    def _agent(self) -> Tracker:
        return tracker_for(self.session.spool, self.machine / "checkpoints", REDACTOR, self.log, self.fed.extend)

    def advance(self, *, away: bool = False) -> bool:
        try:
            return self.tracker.advance(None if away else self.outbox)
        except Killed:
            self.kill_agent()
            return True

    def deliver(self, *, is_heard: bool = True) -> None:
        """The server stores the oldest parcel; the agent hears of it, or dies before it could."""
        if self.outbox.parcels:
            parcel = self.outbox.parcels[0]
            for event in parcel.events:
                assert self.stored.setdefault(event.event_id, event.body) == event.body, "one id, two contents"
            if is_heard:
                parcel.unsettled = 0
                del self.outbox.parcels[0]

    def kill_agent(self) -> None:
        """`kill -9` and another agent: only what is on disk remains."""
        self.log.close()
        self.log = MortalLog(self.machine / "log", 2**24)
        self.outbox = Hand()
        self.tracker = self._agent()

    def finish(self) -> None:
        """The session ends, and the server takes all of it."""
        self.session.end()
        while not self.tracker.is_removed:
            self.advance()
            self.deliver()

    def messages(self) -> list[bytes]:
        events = sorted(
            (msgspec.json.decode(body, type=Event) for body in self.stored.values()),
            key=lambda event: event.sequence or 0,
        )
        return [bytes(event.message) for event in events]

    def logged_ids(self) -> list[str]:
        lines = [line for path in log_files(self.machine / "log") for line, _ in read_lines(path)]
        return [msgspec.json.decode(line, type=Event).id for line in lines]


@pytest.fixture
def world(machine: Path, record: Record) -> World:
    return World(machine, record(segment_bytes=600))


def test_everything_is_stored_in_order_and_the_journal_is_gone(world: World) -> None:
    sent = []
    for number in range(30):
        world.session.request(call(number))
        world.session.response(answer(number))
        sent += [call(number).strip(), answer(number).strip()]
    world.advance()
    world.finish()
    assert world.messages() == sent
    assert not world.session.path.exists()
    assert not list((world.machine / "checkpoints").iterdir())


def test_a_segment_is_deleted_only_after_its_last_event_is_settled(world: World) -> None:
    for number in range(30):
        world.session.request(call(number))
    world.advance()
    segments = len(world.session.spool.segments("request"))
    assert segments > 3
    world.advance()
    assert len(world.session.spool.segments("request")) == segments
    world.deliver()
    world.advance()
    assert len(world.session.spool.segments("request")) == 1


def test_without_a_server_everything_is_logged_and_kept_and_shipped_when_there_is_one(world: World) -> None:
    for number in range(10):
        world.session.request(call(number))
    world.advance(away=True)
    assert len(world.logged_ids()) == 10
    assert world.tracker.waiting_events == 10
    world.finish()
    assert len(world.stored) == 10
    assert world.logged_ids() == sorted(world.stored)


def test_a_local_session_is_logged_and_never_shipped(machine: Path, record: Record) -> None:
    world = World(machine, record(local_only=True, segment_bytes=600))
    for number in range(30):
        world.session.request(call(number))
    world.advance(away=True)
    assert len(world.session.spool.segments("request")) == 1
    world.session.end()
    world.advance(away=True)
    assert world.tracker.is_removed
    assert len(world.logged_ids()) == 30


def test_a_full_outbox_leaves_the_rest_on_disk(world: World) -> None:
    world.outbox.room = False
    for number in range(10):
        world.session.request(call(number))
    world.advance()
    assert not world.outbox.parcels
    world.outbox.room = True
    world.finish()
    assert len(world.stored) == 10


def test_starting_over_takes_back_what_is_not_settled_and_ships_the_same_again(world: World) -> None:
    for number in range(10):
        world.session.request(call(number))
    world.advance()
    (taken_back,) = world.outbox.parcels
    world.tracker.start_over(REDACTOR)
    assert taken_back.dropped
    world.outbox.parcels.clear()
    world.finish()
    assert [event.body for event in taken_back.events] == list(world.stored.values())


@pytest.mark.parametrize("at", ["before shipping", "before the answer", "after the answer"])
def test_an_agent_killed_at_any_step_loses_nothing_and_repeats_no_other_id(world: World, at: str) -> None:
    for number in range(10):
        world.session.request(call(number))
    world.advance()
    if at != "before shipping":
        world.deliver(is_heard=at != "before the answer")
    world.kill_agent()
    world.finish()
    assert world.messages() == [call(number).strip() for number in range(10)]
    assert sorted(world.logged_ids()) == sorted(world.stored)


@pytest.mark.parametrize("step", ["capture.spool.SessionSpool.remove", "agent.checkpoint.CheckpointFile.remove"])
def test_an_agent_killed_as_it_removes_a_session_ships_nothing_again(
    world: World, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    for number in range(10):
        world.session.request(call(number))
    world.session.end()
    with monkeypatch.context() as patch:
        patch.setattr(f"km_client.{step}", die)
        with pytest.raises(Killed):
            while True:
                world.tracker.advance(world.outbox)
                world.deliver()
    before = dict(world.stored)
    if world.session.path.exists():
        world.kill_agent()
        assert world.tracker.is_complete
        world.advance()
    assert not world.session.path.exists()
    assert world.stored == before


def test_a_chunk_that_comes_after_its_moment_keeps_its_place_when_it_is_read_again(world: World) -> None:
    world.session.response(answer(1))
    world.advance()
    world.deliver(is_heard=False)
    world.session.request(call(1), at_ns=world.session.now_ns - 500_000)
    world.advance()
    world.deliver(is_heard=False)
    world.kill_agent()
    world.finish()
    assert world.messages() == [answer(1).strip(), call(1).strip()]


def test_segments_given_up_while_the_server_was_away_are_told_and_the_rest_arrives(world: World) -> None:
    for number in range(200):
        world.session.request(call(number))
        if number % 20 == 0:
            world.advance(away=True)
    cap.enforce(world.session.path.parent, 3_000)
    for number in range(200, 220):
        world.session.request(call(number))
    world.advance()
    world.kill_agent()
    world.finish()
    methods = Counter(msgspec.json.decode(body, type=Event).method for body in world.stored.values())
    assert methods["kilometers/recording_gap"] >= 1
    last = [call(number).strip() for number in range(200, 220)]
    assert world.messages()[-20:] == last


def test_a_seam_within_segments_given_up_holds_up_nothing(world: World) -> None:
    for number in range(60):
        world.session.response(answer(number))
        world.advance(away=True)
        world.session.request(call(number), at_ns=world.session.now_ns - 500_000)
        world.advance(away=True)
    cap.enforce(world.session.path.parent, 2_000)
    world.session.end()
    for _ in range(500):
        if not world.tracker.is_removed:
            world.advance()
            world.deliver()
    assert world.tracker.is_removed


def test_what_a_power_cut_took_back_is_not_read_twice(world: World) -> None:
    for number in range(3):
        world.session.request(call(number))
    world.advance()
    world.deliver()
    world.advance()
    world.session.die()
    segment = world.session.path / "request-00000001.kmj"
    os.truncate(segment, segment.stat().st_size - 150)
    world.kill_agent()
    while not world.tracker.is_removed:
        world.advance()
        world.deliver()
    methods = Counter(msgspec.json.decode(body, type=Event).method for body in world.stored.values())
    assert methods["tools/call"] == 3


def test_on_a_full_disk_the_session_is_shipped_all_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("km_client.agent.checkpoint.CheckpointFile.save", no_space)
    for number in range(30):
        world.session.request(call(number))
    world.advance()
    assert not world.tracker.is_saved
    world.deliver()
    world.advance()
    assert len(world.session.spool.segments("request")) > 1, "nothing is deleted that a new agent would miss"
    world.finish()
    assert len(world.stored) == 30


@pytest.mark.parametrize("seed", range(12))
def test_no_history_of_agents_and_servers_loses_or_repeats_anything(world: World, seed: int) -> None:
    """Two directions, late chunks, split lines, an absent server, lost answers and killed agents, in any order."""
    dice = random.Random(seed)
    session, sent = world.session, Counter[bytes]()
    moments = {"request": session.now_ns, "response": session.now_ns}
    unfinished = {"request": b"", "response": b""}
    for number in range(150):
        side = dice.choice(("request", "response"))
        line = (call if side == "request" else answer)(number, text="x" * dice.randrange(200))
        sent[line.strip()] += 1
        stream = unfinished[side] + line
        cut = dice.randrange(1, len(stream) + 1)
        is_late = dice.random() < 0.3 and moments[side] + 1 < session.now_ns
        moments[side] = dice.randint(moments[side] + 1, session.now_ns) if is_late else session.now_ns + 1_000_000
        getattr(session, side)(stream[:cut], at_ns=moments[side])
        unfinished[side] = stream[cut:]
        for _ in range(dice.randrange(3)):
            deed = dice.choices(("advance", "away", "deliver", "unheard", "kill", "doom"), (6, 2, 4, 1, 1, 1))[0]
            if deed == "doom":
                world.log.dies = dice.choice(("before", "within", "after"))
            elif deed == "kill":
                world.kill_agent()
            elif deed in {"deliver", "unheard"}:
                world.deliver(is_heard=deed == "deliver")
            else:
                world.advance(away=deed == "away")
    for side, rest in unfinished.items():
        if rest:
            getattr(session, side)(rest, at_ns=session.now_ns + 1_000_000)
    world.finish()
    assert Counter(world.messages()) == sent
    assert sorted(world.logged_ids()) == sorted(world.stored)
    fed = Counter(event.id for event in world.fed)
    assert set(fed) <= set(world.stored)
    assert max(fed.values()) == 1, "a plugin may miss what an agent died over, and never sees an event twice"


def test_plugins_are_fed_every_event_once_in_the_order_of_the_stream(world: World) -> None:
    for number in range(10):
        world.session.request(call(number))
        world.session.response(answer(number))
        world.advance(away=number % 3 == 0)
    world.finish()
    assert [event.sequence for event in world.fed] == list(range(20))
    assert [event.id for event in world.fed] == sorted(world.stored)
