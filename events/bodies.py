"""Request bodies: read under a cap, inflated under a cap, whatever the sender claims about their length.

    body = read(request)                       # at most MAX_BODY_BYTES, else 413
    text = inflate(body, encoding_named(header)) # gzip or zstd, at most MAX_INFLATED_BYTES, else 413

200 MB of zeros are 200 KB of gzip: inflation stops at the cap, having allocated no more than the cap.
"""

from __future__ import annotations

import io
from typing import Literal

import zstandard
from django.http import HttpRequest
from isal import isal_zlib
from km_protocol.envelope import MAX_BODY_BYTES, MAX_INFLATED_BYTES

from core.errors import PayloadTooLarge
from events.errors import InvalidCompression, UnsupportedEncoding

Encoding = Literal["", "gzip", "zstd"]

_NAMES: dict[str, Encoding] = {"": "", "identity": "", "gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd"}
_GZIP = 31  # zlib's window bits for a gzip container with the largest window
_CHUNK_BYTES = 256 * 1024
_COMPRESS_AGAIN = "send it uncompressed, or compress it again"
_ZSTD_WINDOW_BYTES = MAX_INFLATED_BYTES  # a larger window would let a small body claim more memory than the cap


def encoding_named(name: str) -> Encoding:
    """The encoding a `Content-Encoding` header, or an inbox row, names. Raises `UnsupportedEncoding`."""
    name = name.strip().lower()
    if name not in _NAMES:
        raise UnsupportedEncoding(
            f"`Content-Encoding: {name[:40]}` is not supported", "send gzip, zstd, or no encoding"
        )
    return _NAMES[name]


def read(request: HttpRequest) -> bytes:
    """The body as it arrived. Raises `PayloadTooLarge`, before reading when the length is announced."""
    announced = request.META.get("CONTENT_LENGTH") or ""
    if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
        raise _too_large(MAX_BODY_BYTES, "")
    if announced or not request.META.get("wsgi.input_terminated"):
        body = request.read(MAX_BODY_BYTES + 1)
    else:  # chunked: the server ends the stream, Django would take a missing length for an empty body
        body = _read_to_end(request.META["wsgi.input"])
    if len(body) > MAX_BODY_BYTES:
        raise _too_large(MAX_BODY_BYTES, "")
    return body


def inflate(body: bytes, encoding: Encoding) -> bytes:
    """The text inside. Raises `InvalidCompression`, `PayloadTooLarge`."""
    if encoding == "gzip":
        return _gunzip(body)
    return _unzstd(body) if encoding == "zstd" else body


def _read_to_end(stream: io.BufferedIOBase) -> bytes:
    parts, size = [], 0
    while size <= MAX_BODY_BYTES and (part := stream.read(_CHUNK_BYTES)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _gunzip(body: bytes) -> bytes:
    """Every member of a gzip file, as `gunzip` reads it."""
    parts: list[bytes] = []
    room = MAX_INFLATED_BYTES + 1
    while body:
        stream = isal_zlib.decompressobj(wbits=_GZIP)
        try:
            parts.append(stream.decompress(body, room))
        except isal_zlib.error as error:  # type: ignore[misc]  # an exception, whatever its stub says
            raise InvalidCompression(f"the body is not gzip: {error}", _COMPRESS_AGAIN) from None
        room -= len(parts[-1])
        if room <= 0:
            raise _too_large(MAX_INFLATED_BYTES, " when inflated")
        if not stream.eof:
            raise InvalidCompression("the gzip body ends too early", _COMPRESS_AGAIN)
        body = stream.unused_data
    return b"".join(parts) if len(parts) != 1 else parts[0]


def _unzstd(body: bytes) -> bytes:
    """The one frame of a zstd body. A frame that does not announce its size is measured first, so that the result is
    allocated once and exactly."""
    try:
        size = zstandard.frame_content_size(body)
        size = _measured(body) if size < 0 else size
        if size > MAX_INFLATED_BYTES:
            raise _too_large(MAX_INFLATED_BYTES, " when inflated")
        return zstandard.ZstdDecompressor().decompress(body, max_output_size=size or 1, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise InvalidCompression(f"the body is not zstd: {error}", _COMPRESS_AGAIN) from None


def _measured(body: bytes) -> int:
    """How many bytes are inside, counted no further than just past the cap."""
    stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).stream_reader(body)
    size = 0
    while size <= MAX_INFLATED_BYTES and (part := stream.read(_CHUNK_BYTES)):
        size += len(part)
    return size


def _too_large(limit: int, when: str) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body has more than {limit >> 20} MiB{when}", "send it in smaller parts")
