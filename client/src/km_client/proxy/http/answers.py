"""The head of a server's answer; what is wrong with one is answered with 502, as no fault of the client's request."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from km_client.proxy.http import bodies, heads
from km_client.proxy.http.bodies import Body
from km_client.proxy.http.heads import BadMessageError, ResponseHead
from km_client.proxy.http.wire import Wire

T = TypeVar("T")


async def response_head(server: Wire) -> tuple[ResponseHead, bytes]:
    """The next head, and what came with it. Raises `BadMessageError` and `ConnectionError`."""
    data = b""
    while (taken := _of_server(partial(heads.take_head, data))) is None:
        more = await server.receive()
        if not more:
            raise ConnectionResetError("the server closed the connection without an answer")
        data += more
    return _of_server(partial(heads.parse_response, taken[0])), taken[1]


def response_body(head: ResponseHead, method: bytes, rest: bytes) -> tuple[Body, bytes]:
    """The body of the answer to `method`, and what `rest` holds of it. Raises `BadMessageError`."""
    body = _of_server(partial(bodies.response_body, head, method))
    return body, _of_server(partial(body.feed, rest))


def _of_server(read: Callable[[], T]) -> T:
    try:
        return read()
    except BadMessageError as error:
        raise BadMessageError(f"the server's answer is no proper HTTP: {error}; ask who runs it", 502) from None
