"""What is no honest request reaches no server, and what is no proper answer harms no client."""

from __future__ import annotations

import pytest

from tests.client.http.raw_http import CALL, OK, STREAM, Proxy, RawServer, chunk, exchange


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"Host: 127.0.0.1", b"Host: evil.example"), 421),
        ((b"Host: 127.0.0.1", b"Host: 127.0.0.1.evil.example"), 421),
        ((b"Host: 127.0.0.1:", b"Host: 127.0.0.1:1"), 421),
        ((b"Accept", b"Host: 127.0.0.1\r\nAccept"), 421),
        ((b"Accept", b"Origin: https://evil.example\r\nAccept"), 403),
        ((b"Accept", b"Origin: null\r\nAccept"), 403),
        ((b"Accept", b"Sec-Fetch-Site: cross-site\r\nAccept"), 403),
        ((b"Accept", b"Origin: http://localhost.evil.example\r\nAccept"), 403),
        ((b"Accept", b"Via: 1.1 km-client\r\nAccept"), 508),
        ((b"POST /mcp", b"POST http://evil.example/mcp"), 400),
        ((b"Content-Length", b"Transfer-Encoding: chunked\r\nContent-Length"), 400),
        ((b"Accept", b" folded\r\nAccept"), 400),
        ((b"\r\n", b"\n\n"), 400),
        ((b"HTTP/1.1", b"HTTP/2.0"), 505),
        ((b"Accept", b"X: " + b"y" * 70_000 + b"\r\nAccept"), 431),
    ],
)
def test_what_is_no_honest_local_request_never_reaches_the_server(
    change: tuple[bytes, bytes], status: int, proxy: Proxy, server: RawServer
) -> None:
    with proxy.connect() as client:
        client.send(proxy.request().replace(*change, 1))
        assert client.rest().startswith(b"HTTP/1.1 %d " % status)
    assert not server.has_a_connection()


@pytest.mark.parametrize("origin", [b"http://localhost:6274", b"http://127.0.0.1", b"http://[::1]:80"])
def test_a_page_of_this_machine_may_ask(origin: bytes, proxy: Proxy, server: RawServer) -> None:
    assert exchange(proxy, server, proxy.request(CALL, b"Origin: " + origin), OK)[1] == OK


def test_no_second_request_can_be_hidden_in_a_body(proxy: Proxy, server: RawServer) -> None:
    hidden = b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: x\r\n\r\n"
    with proxy.connect() as client:
        client.send(proxy.request(hidden))
        peer = server.accept()
        peer.head()
        assert peer.exactly(len(hidden)) == hidden
        peer.send(OK)
        client.exactly(len(OK))
        assert peer.has_nothing()


def test_an_answer_with_more_than_its_length_ends_the_connection(proxy: Proxy, server: RawServer) -> None:
    with proxy.connect() as client:
        client.send(proxy.request())
        peer = server.accept()
        peer.head()
        peer.send(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        assert client.exactly(len(OK)) == OK
        assert client.sees_the_end()


def test_an_endpoint_that_is_no_address_ends_no_stream(proxy: Proxy, server: RawServer) -> None:
    events = b"event: endpoint\ndata: http://[\n\ndata: {}\n\n"
    _, got = exchange(proxy, server, proxy.request(b"", method=b"GET"), STREAM + chunk(events) + b"0\r\n\r\n")
    assert got.endswith(chunk(events) + b"0\r\n\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent Type: x\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"\0\0\x12\x04\0\0\0\0\0",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
def test_an_answer_that_is_not_http_becomes_a_502_that_says_so(answer: bytes, proxy: Proxy, server: RawServer) -> None:
    _, got = exchange(proxy, server, proxy.request(), answer)
    assert got.startswith(b"HTTP/1.1 502"), "it is no fault of the client's request"
    assert b"km-client: the server's answer is no proper HTTP" in got


def test_a_head_that_trickles_in_is_given_up_and_holds_up_nobody(proxy: Proxy, server: RawServer) -> None:
    with proxy.connect() as slow:
        slow.send(b"POST /mcp HT")
        assert exchange(proxy, server, proxy.request(), OK)[1] == OK
        assert slow.rest().startswith(b"HTTP/1.1 408 ")


def test_what_is_no_request_after_a_good_one_is_answered_too(proxy: Proxy, server: RawServer) -> None:
    with proxy.connect() as client:
        client.send(proxy.request() + b"no head\r\n\r\n")
        peer = server.accept()
        peer.head()
        peer.send(OK)
        assert client.exactly(len(OK)) == OK
        assert client.rest().startswith(b"HTTP/1.1 400 ")
