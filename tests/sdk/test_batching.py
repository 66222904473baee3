"""A batcher delivers everything once, in order, and holds no more than it may."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest
from km_plugin_sdk import Batcher, TryLaterError

FOREVER = 3600.0
SOON = 10.0  # seconds a test waits before it gives up


class Sink:
    """Collects batches; `gate` holds deliveries up until it is set."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Condition()
        self.fails = 0
        self.later: list[TryLaterError] = []

    def __call__(self, items: Sequence[int]) -> None:
        assert self.gate.wait(SOON)
        with self.arrived:
            if self.later:
                self.arrived.notify_all()
                raise self.later.pop(0)
            if self.fails:
                self.fails -= 1
                raise OSError("down")
            self.batches.append(list(items))
            self.arrived.notify_all()

    def wait_for(self, batches: int) -> bool:
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.batches) >= batches, SOON)

    def wait_until_all_were_put_off(self) -> bool:
        with self.arrived:
            return self.arrived.wait_for(lambda: not self.later, SOON)


def wait_until(holds: Callable[[], bool]) -> bool:
    until, pause = time.monotonic() + SOON, threading.Event()
    while not holds() and time.monotonic() < until:
        pause.wait(0.005)
    return holds()


def test_a_full_batch_goes_out_at_once() -> None:
    sink = Sink()
    batcher = Batcher(sink, size=3, interval=FOREVER)
    assert all(batcher.add(number) for number in range(3))
    assert sink.wait_for(1) and sink.batches == [[0, 1, 2]]
    assert batcher.close(SOON) == 0


def test_a_lone_item_goes_out_after_the_interval() -> None:
    sink = Sink()
    batcher = Batcher(sink, size=100, interval=0.01)
    batcher.add(7)
    assert sink.wait_for(1) and sink.batches == [[7]]
    batcher.close(SOON)


def test_closing_delivers_the_rest_in_order() -> None:
    sink = Sink()
    batcher = Batcher(sink, size=4, interval=FOREVER)
    for number in range(10):
        batcher.add(number)
    assert batcher.close(SOON) == 0
    assert [item for batch in sink.batches for item in batch] == list(range(10))
    assert batcher.delivered == 10
    assert not batcher.add(11) and batcher.dropped == 1


def test_a_full_batcher_pushes_back_and_then_counts_the_drop() -> None:
    sink = Sink()
    sink.gate.clear()
    batcher = Batcher(sink, size=1, capacity=2, patience=0.02)
    taken = [batcher.add(number) for number in range(6)]
    assert taken[:2] == [True, True] and not taken[-1]
    assert batcher.dropped == taken.count(False)
    sink.gate.set()
    assert batcher.close(SOON) == 0
    assert batcher.delivered == taken.count(True)


def test_a_failed_delivery_is_counted_and_the_next_one_tried() -> None:
    sink = Sink()
    sink.fails = 1
    batcher = Batcher(sink, size=2, interval=FOREVER)
    for number in range(4):
        batcher.add(number)
    batcher.close(SOON)
    assert (batcher.failed, batcher.delivered, batcher.last_error) == (2, 2, "down")
    assert sink.batches == [[2, 3]]


def test_closing_does_not_wait_for_ever_and_says_what_is_left() -> None:
    sink = Sink()
    sink.gate.clear()
    batcher = Batcher(sink, size=1)
    for number in range(5):
        batcher.add(number)
    assert batcher.close(0.05) >= 4 - 1
    sink.gate.set()


def test_many_items_wait_for_room_no_longer_than_one_would() -> None:
    sink = Sink()
    sink.gate.clear()
    batcher = Batcher(sink, size=1, capacity=2, patience=0.02)
    started = time.monotonic()
    taken = batcher.add_all(range(1000))
    assert time.monotonic() - started < 5.0  # not 1,000 times 0.02
    assert 2 <= taken <= 3 and batcher.dropped == 1000 - taken
    sink.gate.set()
    assert batcher.close(SOON) == 0 and sink.batches == [[number] for number in range(taken)]


def test_while_it_pauses_nothing_goes_out_and_nobody_waits() -> None:
    sink = Sink()
    batcher = Batcher(sink, size=1, capacity=3, patience=FOREVER)
    batcher.pause()
    assert all(batcher.add(number) for number in range(10))
    assert batcher.dropped == 7 and not sink.batches
    batcher.resume()
    assert sink.wait_for(3) and sink.batches == [[7], [8], [9]]
    assert batcher.close(SOON) == 0


def test_what_is_to_be_tried_later_comes_first_then() -> None:
    sink = Sink()
    sink.later = [TryLaterError("not now")]
    batcher = Batcher(sink, size=2, interval=FOREVER)
    batcher.add_all(range(2))
    assert sink.wait_until_all_were_put_off()
    batcher.add_all(range(2, 4))
    assert not sink.batches
    batcher.resume()
    assert sink.wait_for(2) and sink.batches == [[0, 1], [2, 3]]
    assert (batcher.close(SOON), batcher.failed, batcher.dropped, batcher.last_error) == (0, 0, 0, "not now")


def test_a_pause_for_a_time_ends_by_itself() -> None:
    sink = Sink()
    sink.later = [TryLaterError("not now", after=0.01), TryLaterError("not yet", after=0.0)]
    batcher = Batcher(sink, size=1)
    batcher.add(1)
    assert sink.wait_for(1) and sink.batches == [[1]]
    assert batcher.close(SOON) == 0


def test_what_is_put_back_does_not_make_a_full_batcher_fuller() -> None:
    sink = Sink()
    sink.later = [TryLaterError("not now")]
    sink.gate.clear()
    batcher = Batcher(sink, size=2, interval=FOREVER, capacity=3)
    batcher.add_all(range(2))  # taken by the delivery, which is held up
    assert wait_until(lambda: not batcher._items)
    batcher.add_all(range(2, 5))
    sink.gate.set()
    assert wait_until(lambda: batcher.dropped == 2)
    assert batcher.close(SOON) == 3 and not sink.batches


def test_a_paused_batcher_closes_at_once_and_says_what_is_left() -> None:
    batcher = Batcher(Sink(), size=1)
    batcher.pause()
    batcher.add_all(range(5))
    assert batcher.close(SOON) == 5


def test_weight_is_bounded_too_and_a_lone_item_always_fits() -> None:
    sink = Sink()
    batcher = Batcher(sink, size=10, weigh=lambda number: number, most_weight=100)
    batcher.pause()
    assert batcher.add_all([60, 30, 20]) == 3 and batcher.dropped == 1
    assert batcher.add(500) and batcher.dropped == 3
    batcher.resume()
    assert sink.wait_for(1) and sink.batches == [[500]] and batcher._weight == 0
    assert batcher.close(SOON) == 0


@pytest.mark.parametrize(("size", "capacity"), [(0, 1), (2, 1)])
def test_sizes_that_cannot_work_are_refused(size: int, capacity: int) -> None:
    with pytest.raises(ValueError, match="size must be"):
        Batcher(Sink(), size=size, capacity=capacity)
