"""A batcher delivers everything once, in order, and holds no more than it may."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from km_plugin_sdk import Batcher

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

    def __call__(self, items: Sequence[int]) -> None:
        assert self.gate.wait(SOON)
        with self.arrived:
            if self.fails:
                self.fails -= 1
                raise OSError("down")
            self.batches.append(list(items))
            self.arrived.notify_all()

    def wait_for(self, batches: int) -> bool:
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.batches) >= batches, SOON)


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


@pytest.mark.parametrize(("size", "capacity"), [(0, 1), (2, 1)])
def test_sizes_that_cannot_work_are_refused(size: int, capacity: int) -> None:
    with pytest.raises(ValueError, match="size must be"):
        Batcher(Sink(), size=size, capacity=capacity)
