"""The head of a server's answer. What is wrong with one is said to be the server's fault, and a 502 for the client."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from km_client.proxy.http import bodies, heads
from km_client.proxy.http.bodies import Body
from km_client.proxy.http.heads import BadMessageError, ResponseHead
from km_client.proxy.http.wire import Wire

START = b"HTTP/1."
SWITCHING = 101
T = TypeVar("T")


async def response_head(server: Wire) -> tuple[ResponseHead, bytes]:
    """The next head, and what came with it. Raises `BadMessageError` and `ConnectionError`."""
    data = b""
    while (taken := _of_server(partial(_taken, data))) is None:
        more = await server.receive()
        if not more:
            raise ConnectionResetError("the server closed the connection without an answer")
        data += more
    head = _of_server(partial(heads.parse_response, taken[0]))
    if head.status == SWITCHING:
        raise BadMessageError("the server switched to another protocol, which nobody asked for", 502)
    return head, taken[1]


def response_body(head: ResponseHead, method: bytes, rest: bytes) -> tuple[Body, bytes]:
    """The body of the answer to `method`, and what `rest` holds of it. Raises `BadMessageError`."""
    body = _of_server(partial(bodies.response_body, head, method))
    return body, _of_server(partial(body.feed, rest))


def _taken(data: bytes) -> tuple[bytes, bytes] | None:
    if not data.startswith(START[: len(data)]):  # of HTTP/2, say, no line may ever end
        raise BadMessageError("it does not begin as HTTP/1.1 does")
    return heads.take_head(data)


def _of_server(read: Callable[[], T]) -> T:
    try:
        return read()
    except BadMessageError as error:
        raise BadMessageError(f"the server's answer is no proper HTTP: {error}; ask who runs it", 502) from None
