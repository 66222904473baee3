r"""Frames end at `\n` and nowhere else, however the bytes were cut into chunks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from km_client.proxy.framing import FrameSplitter

STREAMS = st.binary() | st.lists(st.sampled_from([b"\n", b"\r\n", b"a", "\u2028".encode(), b"\0", b"\x85"])).map(
    b"".join
)


@given(STREAMS, st.lists(st.integers(0, 50)))
def test_frames_and_the_rest_are_the_stream_split_at_newlines(stream: bytes, cuts: list[int]) -> None:
    splitter = FrameSplitter()
    frames, start = [], 0
    for cut in cuts:
        frames += splitter.feed(stream[start : start + cut])
        start += cut
    frames += splitter.feed(stream[start:])
    *whole, rest = stream.split(b"\n")
    assert frames == whole
    assert splitter.pending_bytes == len(rest)
    assert (splitter.flush() or b"") == rest
    assert splitter.flush() is None


def test_a_frame_keeps_everything_but_its_newline() -> None:
    splitter = FrameSplitter()
    frames = splitter.feed('{"text":"a\u2028b\u0085c"}\r\n\n\0\xff\n'.encode("utf-8", "surrogateescape"))
    assert frames == ['{"text":"a\u2028b\u0085c"}\r'.encode(), b"", "\0\xff".encode()]
    assert not any(frame.is_cut for frame in frames)


@given(st.integers(0, 40), st.lists(st.binary(max_size=20)), st.integers(1, 20))
def test_only_the_first_bytes_of_a_long_frame_are_kept(size: int, after: list[bytes], keep: int) -> None:
    splitter = FrameSplitter(keep_bytes=keep)
    stream = b"x" * size + b"\nshort\n"
    frames = [frame for start in range(0, len(stream), 7) for frame in splitter.feed(stream[start : start + 7])]
    assert [frame.size for frame in frames] == [size, 5]
    assert frames == [b"x" * min(size, keep), b"short"[:keep]]
    assert frames[0].is_cut == (size > keep)


def test_an_endless_line_takes_no_more_memory_than_is_kept() -> None:
    splitter = FrameSplitter(keep_bytes=1000)
    for _ in range(10_000):
        assert splitter.feed(b"y" * 1000) == []
    frame = splitter.flush()
    assert frame is not None and (len(frame), frame.size) == (1000, 10_000_000)
