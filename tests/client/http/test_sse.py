"""Events as the HTML standard reads them, in whatever pieces they come, in bounded memory."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st
from km_client.proxy.http.copies import Room
from km_client.proxy.http.sse import Decoder, Event

STREAM = (
    b'\xef\xbb\xbfid: 1\ndata:\n\n: ping\n\nevent: message\r\nid: 2\r\ndata: {"a":\r\ndata:  1}\r\n\r\n'
    b"data:x\rretry: 500\r\rdata: cut off"
)
EVENTS = [
    Event(b"", b"", 0, b"1", None, True),
    Event(b"message", b'{"a":\n 1}', 9, b"2", None, True),
    Event(b"", b"x", 1, None, 500, True),
]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
@example(list(range(len(STREAM))))
def test_events_are_the_same_however_they_are_cut(cuts: list[int]) -> None:
    room = Room(1000)
    decoder = Decoder(room)
    edges = [0, *sorted(cuts), len(STREAM)]
    events = [event for a, b in pairwise(edges) for event in decoder.feed(STREAM[a:b])]
    assert events == EVENTS
    decoder.drop()
    assert room.take(2000) == 1000, "every byte of the room came back"


def test_an_event_of_100_megabytes_is_counted_and_only_its_beginning_is_kept() -> None:
    decoder = Decoder(Room(), keep_bytes=1 << 20)
    piece = b"x" * (1 << 20)
    tracemalloc.start()
    decoder.feed(b'data: {"')
    for _ in range(100):
        assert decoder.feed(piece) == []
    (event,) = decoder.feed(b'"}\n\n')
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert event.size == 100 * (1 << 20) + 4
    assert (1 << 20) - 100 < len(event.data) <= 1 << 20
    assert peak < 8 << 20


def test_an_event_of_100_000_empty_lines_takes_no_memory() -> None:
    decoder = Decoder(Room(), keep_bytes=1000)
    tracemalloc.start()
    for _ in range(10):
        decoder.feed(b"data\n" * 10_000)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    (event,) = decoder.feed(b"\n")
    assert event.size == 99_999


def test_streams_share_one_room() -> None:
    room = Room(10)
    first, second = Decoder(room), Decoder(room)
    first.feed(b"data: " + b"1" * 67)
    (event,) = second.feed(b"data: 3456\n\n")
    assert (event.data, event.size) == (b"3", 4)
    first.drop()
    (event,) = second.feed(b"data: 3456\n\n")
    assert (event.data, event.size) == (b"3456", 4)
