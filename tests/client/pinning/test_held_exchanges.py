"""Behind the reverse proxy nothing that is held gets through, whatever a server says of its answer; nobody hangs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.http.raw_http import OK, Peer, Proxy, RawServer
from tests.client.pinning.conftest import asking, calling, listing, tool

EVIL = listing(tool("read", "Evil"))
JSON = b"Content-Type: application/json"
DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer() as running:
        yield running


@pytest.fixture
def proxy(hold: Path, server: RawServer) -> Iterator[Proxy]:
    with Proxy(server.url, hold / "data", env={"KM_CONFIG_DIR": str(hold / "config")}) as running:
        yield running


def ask(proxy: Proxy, server: RawServer, answer: bytes, *fields: bytes) -> bytes:
    """Ask for the list over a connection of its own; all that the client gets."""
    with proxy.connect() as client:
        client.send(proxy.request(asking()))
        peer = server.accept()
        peer.head()
        peer.exactly(len(asking()))
        peer.send(b"\r\n".join([b"HTTP/1.1 200 OK", *fields, b"Content-Length: %d" % len(answer), b"", b""]) + answer)
        peer.socket.shutdown(1)
        return whole(client)


def whole(client: Peer) -> bytes:
    try:
        return client.rest()
    except ConnectionResetError:
        return client.received


@pytest.fixture
def pinned(proxy: Proxy, server: RawServer) -> bytes:
    """What the client was given first."""
    first = ask(proxy, server, listing(tool("read")), JSON)
    assert b"Does read" in first
    return first


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize(
    "fields",
    [
        [JSON],
        [b"Content-Type: application/jsonx"],
        [b"Content-Type: text/plain", JSON],
        [b"Content-Type: text/plain; application/json"],
        [b"Content-Type: text/html"],
        [],
        [b"Content-Type: application/json, text/event-stream"],
        [JSON, b"Content-Encoding: gzip"],
    ],
)
def test_no_content_type_gets_a_list_through(proxy: Proxy, server: RawServer, fields: list[bytes]) -> None:
    assert b"Evil" not in ask(proxy, server, EVIL, *fields)


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize("kind", [b"text/event-stream", b"text/event-streaming", b"x; text/event-stream"])
@pytest.mark.parametrize(
    "event", [b"data: %b\n\n", b"data: %b", b"data: %b\n", b"\xef\xbb\xbfdata: %b\n\n", b"\n\n:\rdata: %b\r\r"]
)
def test_no_spelling_of_an_event_gets_a_list_through(
    proxy: Proxy, server: RawServer, kind: bytes, event: bytes
) -> None:
    got = ask(proxy, server, event % EVIL, b"Content-Type: " + kind)
    assert got.startswith(b"HTTP/1.1 200") and b"Evil" not in got


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-32-be"])
def test_an_answer_in_another_encoding_is_not_passed_on(proxy: Proxy, server: RawServer, coding: str) -> None:
    other = EVIL.decode().encode(coding)
    assert other[4:40] not in ask(proxy, server, other, JSON)


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize(
    "message",
    [
        EVIL.replace(b'"tools"', b'"Tools"'),
        EVIL.replace(b'"tools"', b'"tool\xc5\xbf"'),
        EVIL.replace(b'"result"', b'"Result"'),
        listing(tool("read", "Evil"), resultType="other"),
        EVIL[:-1] + b',"result":{}}',
        EVIL[:-1] + b',"method":"x"}',
        EVIL[:-2] + b',"x":' + DEEP + b"}}",
    ],
    ids=["capitals", "long s", "Result", "another kind", "twice", "a method beside it", "too deep"],
)
def test_on_the_stream_of_another_request_neither(proxy: Proxy, server: RawServer, message: bytes) -> None:
    """As in 2024-11-05, where every answer comes on the one stream: nobody there knows what was asked."""
    with proxy.connect() as client:
        client.send(proxy.request(b"", method=b"GET"))
        peer = server.accept()
        peer.head()
        events = b"data: %b\n\ndata: the end\n\n" % message
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"
        peer.send(head % len(events) + events)
        assert b"Evil" not in client.until(b"the end")


@pytest.mark.usefixtures("pinned")
def test_a_call_is_held_wherever_it_is_posted(proxy: Proxy, server: RawServer) -> None:
    ask(proxy, server, EVIL, JSON)
    request = proxy.request(calling("read"), path=b"/elsewhere").replace(
        b"Accept: application/json, text/event-stream", b"A: b"
    )
    with proxy.connect() as client:
        client.send(request)
        assert client.head().startswith(b"HTTP/1.1 200")
    assert not server.has_a_connection()


def test_who_waits_to_be_told_to_go_on_is_told(proxy: Proxy, server: RawServer) -> None:
    with proxy.connect() as client:
        request = proxy.request(calling("read"), b"Expect: 100-continue")
        client.send(request[: -len(calling("read"))])
        assert client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(calling("read"))
        peer = server.accept()
        assert b"Expect" not in peer.head()
        assert peer.exactly(len(calling("read"))) == calling("read")
        peer.send(OK)
        assert client.head().startswith(b"HTTP/1.1 200")


def test_nothing_is_put_into_a_stream_that_is_over(proxy: Proxy, server: RawServer, pinned: bytes) -> None:
    ask(proxy, server, EVIL, JSON)
    with proxy.connect() as client, proxy.connect() as other:
        client.send(proxy.request(b"", method=b"GET", path=b"/sse"))
        peer = server.accept()
        peer.head()
        event = b"event: endpoint\ndata: /post\n\n"
        peer.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(event) + event
        )
        client.until(b"0\r\n\r\n")
        other.send(proxy.request(calling("read"), path=b"/post"))
        body = other.head() + other.exactly(10)
        assert b"202" not in body and client.has_nothing()


def test_a_batch_with_a_held_call_is_answered_as_a_whole(proxy: Proxy, server: RawServer, pinned: bytes) -> None:
    ask(proxy, server, EVIL, JSON)
    batch = b'[{"jsonrpc":"2.0","id":5,"method":"ping"},%b]' % calling("read")
    with proxy.connect() as client:
        client.send(proxy.request(batch))
        size = int(client.head().partition(b"Content-Length: ")[2].split(b"\r\n")[0])
        said = {answer["id"]: answer["error"]["message"] for answer in json.loads(client.exactly(size))}
    assert "is held" in said[9] and "beside it" in said[5]
    assert not server.has_a_connection()
