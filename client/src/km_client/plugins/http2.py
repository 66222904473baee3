"""HTTP/2's frames as bytes (RFC 9113), and the headers in them (RFC 7541, by the `hpack` library): no I/O, no state of
a call.

    00 00 04  08  00  00 00 00 00  00 01 00 00        length · kind (WINDOW_UPDATE) · flags · stream · payload

The peer is not trusted: lengths are bounded before anything is kept, and `BrokenError` says what it broke.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from hpack import Decoder, Encoder, HPACKError, NeverIndexedHeaderTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PUSH = 0, 1, 3, 4, 5
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
ENABLE_PUSH, INITIAL_WINDOW, MAX_FRAME = 2, 4, 5  # settings
FRAME_BYTES = 16 * 1024  # the longest frame, until a peer says it takes more
WINDOW = 65_535  # the first one of a connection and, until a peer says otherwise, of a stream
LAST_STREAM = 2**31 - 1
MOST_HEADER_BYTES = 64 * 1024
_HEAD_BYTES = 9


class BrokenError(Exception):
    """The peer broke the protocol."""


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


def head(kind: int, flags: int, stream: int, size: int) -> bytes:
    """The nine bytes before a payload of `size`."""
    return struct.pack(">IBI", size << 8 | kind, flags, stream)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return head(kind, flags, stream, len(payload)) + payload


def number(value: int) -> bytes:
    return struct.pack(">I", value)


def frames(received: bytearray) -> Iterator[Frame]:
    """The whole frames at the beginning of `received`, which are removed from it."""
    at = 0
    while len(received) - at >= _HEAD_BYTES:
        size = int.from_bytes(received[at : at + 3], "big")
        if size > FRAME_BYTES:
            raise BrokenError(f"a frame of {size} bytes")
        end = at + _HEAD_BYTES + size
        if len(received) < end:
            break
        kind, flags, stream = struct.unpack_from(">BBI", received, at + 3)
        yield Frame(kind, flags, stream & LAST_STREAM, bytes(received[at + _HEAD_BYTES : end]))
        at = end
    del received[:at]


def content(given: Frame) -> bytes:
    """A DATA or HEADERS frame's payload without its padding and priority."""
    payload = given.payload
    if given.flags & PADDED:
        payload = payload[1 : len(payload) - payload[0]]
    return payload[5:] if given.kind == HEADERS and given.flags & PRIORITY else payload


def request_block(headers: dict[str, str]) -> bytes:
    """Encoded without the dynamic table: the same bytes are right for every request."""
    literal = [NeverIndexedHeaderTuple(*header) for header in headers.items()]
    return bytes(Encoder().encode(literal, huffman=False))


class HeaderBlocks:
    """Headers from HEADERS and the CONTINUATION frames after it. Every block must pass: each changes the table."""

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._block = bytearray()
        self._ends = False
        self.is_open = False

    def add(self, given: Frame) -> tuple[dict[bytes, bytes], bool] | None:
        """When the block is complete: the headers, and whether the stream ends with them."""
        if given.kind == HEADERS:
            self._ends, self.is_open = bool(given.flags & END_STREAM), True
        elif not self.is_open:
            raise BrokenError("headers without their beginning")
        self._block += content(given) if given.kind == HEADERS else given.payload
        if len(self._block) > MOST_HEADER_BYTES:
            raise BrokenError("headers of more than 64 KiB")
        if not given.flags & END_HEADERS:
            return None
        try:
            headers = dict(self._decoder.decode(bytes(self._block), raw=True))
        except HPACKError as error:
            raise BrokenError(f"headers that cannot be decoded: {error}") from None
        self._block.clear()
        self.is_open = False
        return headers, self._ends
