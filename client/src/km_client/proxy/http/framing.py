"""How the pieces of a body go out: as they are, or as chunks (RFC 9112 §7.1)."""

from __future__ import annotations

from collections.abc import Callable

from km_client.proxy.http import bodies
from km_client.proxy.http.bodies import Body, ChunkedBody, encode_chunk

Frame = Callable[[bytes], bytes]


def framing(body: Body) -> Frame:
    """As it came in."""
    return encode_chunk if isinstance(body, ChunkedBody) else plain


def plain(content: bytes) -> bytes:
    return content


def framed(frame: Frame, content: bytes, body: Body) -> bytes:
    """`content` as it goes out, with the end of the coding where the body ends."""
    data = frame(content) if content else b""
    return data + bodies.LAST_CHUNK if body.is_whole and frame is encode_chunk else data
