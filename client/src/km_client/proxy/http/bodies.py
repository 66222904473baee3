r"""The body of an HTTP/1.1 message, sans-I/O: what of the bytes that come belongs to it, and whether it is whole.

    body = ChunkedBody()
    body.feed(b"3\r\nabc\r\n0\r\n\r\nGET …")  ->  b"abc"
    body.is_whole, body.rest                  ->  (True, b"GET …")

Chunks are decoded and encoded anew, so nothing in their framing reaches the other side: sizes are hexadecimal digits
and nothing else, extensions and trailer fields are checked and dropped (RFC 9112 §7.1.1, RFC 9110 §6.5.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from km_client.proxy.http import heads
from km_client.proxy.http.heads import CHUNKED, BadMessageError, RequestHead, ResponseHead

MAX_CHUNK_LINE_BYTES = 256
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
LAST_CHUNK = b"0\r\n\r\n"


class Body(Protocol):
    """`rest` is what was fed beyond its end."""

    is_whole: bool
    rest: bytes

    def feed(self, data: bytes) -> bytes:
        """The content in `data`. Raises `BadMessageError`."""

    def end(self) -> bool:
        """The connection ended: whether the body is whole by that."""


class LengthBody:
    """`Content-Length`, or no body at all."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.is_whole = length == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        content = data[: self._left]
        self.rest += data[self._left :]
        self._left -= len(content)
        self.is_whole = self._left == 0
        return content

    def end(self) -> bool:
        return self.is_whole


class UntilCloseBody:
    """A response that says nothing: it ends where the connection ends (RFC 9112 §6.3, the last rule)."""

    is_whole = False
    rest = b""

    def feed(self, data: bytes) -> bytes:
        return data

    def end(self) -> bool:
        self.is_whole = True
        return True


class ChunkedBody:
    """`Transfer-Encoding: chunked`. What was fed is walked through once, however small its chunks are."""

    def __init__(self) -> None:
        self.is_whole = False
        self.rest = b""
        self._buffer = b""
        self._at = 0  # in the buffer: everything before is done with
        self._left = 0  # of the chunk
        self._trailer_lines = 0
        self._step: Callable[[list[bytes]], bool] = self._size

    def feed(self, data: bytes) -> bytes:
        self._buffer = self._buffer[self._at :] + data
        self._at = 0
        content: list[bytes] = []
        while not self.is_whole:
            if not self._step(content):
                break
        if self.is_whole:
            self.rest += self._buffer[self._at :]
            self._buffer, self._at = b"", 0
        return content[0] if len(content) == 1 else b"".join(content)

    def end(self) -> bool:
        return self.is_whole

    def _size(self, _: list[bytes]) -> bool:
        line = self._line(MAX_CHUNK_LINE_BYTES)
        if line is None:
            return False
        match = _CHUNK_LINE.fullmatch(line)
        if not match:
            raise BadMessageError("a chunk's size is not a hexadecimal number")
        self._left = int(match[1], 16)
        self._step = self._data if self._left else self._trailers
        return True

    def _data(self, content: list[bytes]) -> bool:
        piece = self._buffer[self._at : self._at + self._left]
        if not piece:
            return False
        content.append(piece)
        self._at += len(piece)
        self._left -= len(piece)
        if not self._left:
            self._step = self._data_end
        return True

    def _data_end(self, _: list[bytes]) -> bool:
        end = self._buffer[self._at : self._at + 2]
        if end != b"\r\n"[: len(end)]:
            raise BadMessageError("a chunk is longer than its size")
        if len(end) < 2:
            return False
        self._at += 2
        self._step = self._size
        return True

    def _trailers(self, _: list[bytes]) -> bool:
        line = self._line(heads.MAX_HEAD_BYTES)
        if line:
            heads.parse_fields(line)
            self._trailer_lines += 1
            if self._trailer_lines > heads.MAX_HEADERS:
                raise BadMessageError(f"there are more than {heads.MAX_HEADERS} trailer fields", 431)
        self.is_whole = line == b""
        return line is not None

    def _line(self, limit: int) -> bytes | None:
        end = self._buffer.find(b"\r\n", self._at, self._at + limit + 2)
        if end < 0:
            if len(self._buffer) - self._at > limit:
                raise BadMessageError("a line of the chunked coding is too long")
            return None
        line = self._buffer[self._at : end]
        self._at = end + 2
        return line


def encode_chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def request_body(head: RequestHead) -> Body:
    """Raises `BadMessageError`."""
    length = heads.body_length(head.headers, head.minor)
    return ChunkedBody() if length == CHUNKED else LengthBody(length or 0)


def response_body(head: ResponseHead, method: bytes) -> Body:
    """`method` is the request's. Raises `BadMessageError`."""
    length = heads.body_length(head.headers, head.minor)
    if method == b"HEAD" or head.status < 200 or head.status in (204, 304):
        return LengthBody(0)
    if length is None:
        return UntilCloseBody()
    return ChunkedBody() if length == CHUNKED else LengthBody(length)
