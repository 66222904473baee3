"""Batches are cut by count, by bytes and by age; an urgent parcel and a closed outbox wait for nothing."""

from __future__ import annotations

import threading

import pytest
from km_client.agent import outbox as outbox_module
from km_client.agent.outbox import BATCH_BYTES, BATCH_EVENTS, ROOM_BYTES, Item, Outbox
from km_client.agent.parcel import Outgoing, Parcel


def parcel(count: int, size: int = 10, *, urgent: bool = False, first: int = 0) -> Parcel:
    events = [Outgoing(f"e{number}", b"x" * size) for number in range(first, first + count)]
    return Parcel("run-1", events, b"", {}, urgent=urgent)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch becomes old enough by itself."""
    monkeypatch.setattr(outbox_module, "BATCH_SECONDS", 3600.0)


@pytest.mark.usefixtures("patient")
def test_a_batch_holds_at_most_so_many_events_in_their_order() -> None:
    box = Outbox()
    box.put(parcel(BATCH_EVENTS + 7, urgent=True))
    first, second = box.next_batch(), box.next_batch()
    assert [item.event.event_id for item in first + second] == [f"e{n}" for n in range(BATCH_EVENTS + 7)]
    assert len(first) == BATCH_EVENTS


@pytest.mark.usefixtures("patient")
def test_a_batch_holds_at_most_so_many_bytes_but_at_least_one_event() -> None:
    box = Outbox()
    box.put(parcel(3, BATCH_BYTES // 2 + 1))
    box.put(parcel(1, BATCH_BYTES * 3, urgent=True))
    assert [len(box.next_batch()) for _ in range(4)] == [1, 1, 1, 1]


def test_a_single_event_waits_no_longer_than_its_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "BATCH_SECONDS", 0.05)
    box = Outbox()
    box.put(parcel(1))
    assert len(box.next_batch()) == 1


@pytest.mark.usefixtures("patient")
def test_waiting_ends_when_enough_has_come() -> None:
    box = Outbox()
    got: list[list[Item]] = []
    waiting = threading.Thread(target=lambda: got.append(box.next_batch()))
    waiting.start()
    box.put(parcel(BATCH_EVENTS - 1))
    box.put(parcel(1, first=BATCH_EVENTS - 1))
    waiting.join(10)
    assert [len(batch) for batch in got] == [BATCH_EVENTS]


@pytest.mark.usefixtures("patient")
def test_a_closed_outbox_gives_nothing_more_and_ends_every_wait() -> None:
    box = Outbox()
    ended = [threading.Thread(target=box.next_batch), threading.Thread(target=box.pause, args=(3600.0,))]
    for thread in ended:
        thread.start()
    box.put(parcel(3))
    box.close()
    for thread in ended:
        thread.join(10)
        assert not thread.is_alive()
    assert box.next_batch() == []
    box.pause(3600.0)


@pytest.mark.usefixtures("patient")
def test_a_pause_ends_when_woken_but_not_when_something_arrives() -> None:
    box = Outbox()
    box.wake()  # what happened before the pause does not end it
    paused = threading.Thread(target=box.pause, args=(3600.0,))
    paused.start()
    box.put(parcel(1))
    paused.join(0.05)
    assert paused.is_alive()
    while paused.is_alive():  # the thread may not have begun to wait when it is first woken
        box.wake()
        paused.join(0.01)


def test_room_is_given_back_as_events_are_settled() -> None:
    box = Outbox()
    big = parcel(2, ROOM_BYTES // 2, urgent=True)
    assert box.has_room()
    box.put(big)
    assert not box.has_room()
    box.settled(box.next_batch())
    assert box.has_room()
