"""The proxy changes nothing that matters, holds nothing back, and lets each side feel what the other does."""

from __future__ import annotations

import gzip
import json
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.client.http.raw_http import CALL, OK, STREAM, Proxy, RawServer, chunk, entries, exchange, facts
from tests.end_to_end.waiting import eventually


def test_request_and_answer_keep_their_bytes(proxy: Proxy, server: RawServer) -> None:
    fields = [
        b"AUTHORIZATION: Bearer x.y",
        b"mcp-Session-Id: s1",
        b"Last-Event-ID: 7",
        b"X-Umlaut: \xfc",
        b"X: 1",
        b"X: 2",
    ]
    with proxy.connect() as client:
        client.send(proxy.request(CALL, *fields, path=b"/mcp?a=%20b&c"))
        peer = server.accept()
        head = peer.head().split(b"\r\n")
        assert head[0] == b"POST /mcp?a=%20b&c HTTP/1.1"
        assert head[1] == b"Host: 127.0.0.1:%d" % server.port
        assert head[3:9] == fields
        assert peer.exactly(len(CALL)) == CALL
        answer = b'HTTP/1.1 401 Nope \xe9\r\nwww-Authenticate: Bearer resource_metadata="https://x/y"\r\n'
        answer += b"Content-Length: 3\r\n\r\n\0\xff\n"
        peer.send(answer)
        assert client.exactly(len(answer)) == answer


def test_a_compressed_answer_stays_compressed_and_its_copy_is_readable(proxy: Proxy, server: RawServer) -> None:
    message = b'{"jsonrpc":"2.0","id":1,"result":{}}'
    packed = gzip.compress(message)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    _, got = exchange(proxy, server, proxy.request(CALL), head % len(packed) + packed)
    assert got.endswith(packed)
    proxy.end()
    assert [entry.content for entry in entries(proxy.spools()[0], "response")] == [message]


def test_one_connection_carries_many_requests(proxy: Proxy, server: RawServer) -> None:
    with proxy.connect() as client:
        client.send(proxy.request(CALL) + proxy.request(CALL))
        peer = server.accept()
        for _ in range(2):
            peer.head()
            assert peer.exactly(len(CALL)) == CALL
            peer.send(OK)
            assert client.exactly(len(OK)) == OK
        assert not server.has_a_connection()


def test_each_event_passes_at_once_and_not_one_byte_is_held(proxy: Proxy, server: RawServer) -> None:
    with proxy.connect() as client:
        client.send(proxy.request(CALL))
        peer = server.accept()
        peer.head()
        peer.send(STREAM)
        assert b"text/event-stream" in client.head()
        for piece in (b"d", b"ata: 1\n", b"\n", b"data: 2\n\n"):
            peer.send(chunk(piece))
            assert client.exactly(len(chunk(piece))) == chunk(piece)


def test_a_client_that_leaves_closes_the_servers_connection(proxy: Proxy, server: RawServer) -> None:
    with proxy.connect() as client:
        client.send(proxy.request(CALL))
        peer = server.accept()
        peer.head()
        peer.exactly(len(CALL))
        peer.send(STREAM + chunk(b'data: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n'))
        client.until(b"progress")
    assert peer.sees_the_end()
    proxy.end()
    assert [fact["kind"] for fact in facts(proxy.spools()[0])] == ["n"]


def test_a_client_that_leaves_in_mid_upload_closes_the_servers_connection(proxy: Proxy, server: RawServer) -> None:
    with proxy.connect() as client:
        client.send(proxy.request(CALL)[:-10])
        peer = server.accept()
        peer.head()
        peer.exactly(len(CALL) - 10)
    assert peer.sees_the_end()


@pytest.mark.parametrize("begun", [b"", STREAM + chunk(b"data: 1\n\n"), OK[:-1]])
def test_a_reset_of_the_server_reaches_the_client_as_a_reset(begun: bytes, proxy: Proxy, server: RawServer) -> None:
    with proxy.connect() as client:
        client.send(proxy.request(CALL))
        peer = server.accept()
        peer.head()
        peer.exactly(len(CALL))
        if begun:
            peer.send(begun)
            client.head()
        peer.reset()
        assert client.sees_a_reset()
    proxy.end()
    (fact,) = facts(proxy.spools()[0])
    assert fact["kind"] == "f" and "broke off" in fact["problem"]


def test_a_truncated_answer_does_not_look_complete(proxy: Proxy, server: RawServer) -> None:
    with proxy.connect() as client:
        client.send(proxy.request(CALL))
        peer = server.accept()
        peer.head()
        peer.send(STREAM + chunk(b"data: 1\n\n"))
        client.head()
        peer.socket.close()
        assert client.sees_a_reset()


def test_a_server_that_closes_an_idle_connection_is_seen_to(proxy: Proxy, server: RawServer) -> None:
    with proxy.connect() as client:
        client.send(proxy.request(CALL))
        peer = server.accept()
        peer.head()
        peer.exactly(len(CALL))
        peer.send(OK)
        client.exactly(len(OK))
        peer.socket.close()
        assert client.sees_the_end()


def test_an_answer_that_ends_with_its_connection_is_whole_for_the_client(proxy: Proxy, server: RawServer) -> None:
    _, got = exchange(proxy, server, proxy.request(), b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}")
    assert got.endswith(b"\r\n\r\n2\r\n{}\r\n0\r\n\r\n")


def test_an_expectation_is_the_servers_to_answer(proxy: Proxy, server: RawServer) -> None:
    with proxy.connect() as client:
        request = proxy.request(CALL, b"Expect: 100-continue")
        client.send(request[: -len(CALL)])
        peer = server.accept()
        assert b"Expect: 100-continue" in peer.head()
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(CALL)
        assert peer.exactly(len(CALL)) == CALL
        peer.send(OK)
        assert client.exactly(len(OK)) == OK


def test_a_client_of_http_1_0_is_given_the_one_answer_that_it_knows_of(proxy: Proxy, server: RawServer) -> None:
    request = proxy.request(CALL).replace(b"HTTP/1.1", b"HTTP/1.0")
    _, got = exchange(proxy, server, request, b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
    assert got.startswith(b"HTTP/1.1 200 OK\r\n") and got.endswith(b"\r\n\r\n{}")


def test_an_early_answer_passes_though_the_upload_is_not_done(proxy: Proxy, server: RawServer) -> None:
    with proxy.connect() as client:
        client.send(proxy.request(b"x" * 100_000)[:5000])
        peer = server.accept()
        peer.head()
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        assert client.head().startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("{server}/mcp/?a=1", "/mcp/?a=1"),
        ("https://elsewhere.example/mcp", "https://elsewhere.example/mcp"),
        ("x/y", "x/y"),
        ("{server}//elsewhere.example/mcp", "{server}//elsewhere.example/mcp"),
        ("http://[", "http://["),
        ("{server}?a=1", "/?a=1"),
        ("{server}/\\elsewhere.example/mcp", "{server}/\\elsewhere.example/mcp"),
    ],
)
def test_a_redirect_on_the_servers_own_origin_leads_back_here(
    location: str, expected: str, proxy: Proxy, server: RawServer
) -> None:
    here = f"http://127.0.0.1:{server.port}"
    location, expected = location.format(server=here), expected.format(server=here)
    answer = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    assert f"Location: {expected}\r\n".encode() in exchange(proxy, server, proxy.request(), answer)[1]


def test_the_query_of_the_url_is_added_where_the_client_was_not_given_it(server: RawServer, data_dir: Path) -> None:
    flags = ("--header", "X-Token: env:NOTES_TOKEN", "--header", "X-Plain: yes")
    url = server.url.replace("//", "//me:pa%20ss@") + "?key=secret"
    with Proxy(url, data_dir, *flags, env={"NOTES_TOKEN": "t0ken"}) as proxy:
        head, _ = exchange(proxy, server, proxy.request(CALL, b"x-plain: no"), OK)
        assert head.startswith(b"POST /mcp?key=secret HTTP/1.1")
        assert b"X-Token: t0ken\r\n" in head and b"X-Plain: yes\r\n" in head and b"x-plain: no" not in head
        assert b"Authorization: Basic bWU6cGEgc3M=\r\n" in head
        _, said = proxy.end()
    written = b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    for secret in ("secret", "t0ken", "bWU6cGEgc3M", "pa%20ss", "pa ss"):
        assert secret not in said + json.dumps(proxy.said) and secret.encode() not in written


def test_an_event_of_100_megabytes_passes_in_little_memory(proxy: Proxy, server: RawServer) -> None:
    piece, count = b"y" * (1 << 20), 100
    with proxy.connect() as client:
        client.send(proxy.request(CALL))
        peer = server.accept()
        peer.head()
        event = [b'data: {"jsonrpc":"2.0","id":1,"result":"', *[piece] * count, b'"}\n\n']
        sender = threading.Thread(target=lambda: peer.socket.sendall(b"".join(map(chunk, event))))
        before = psutil.Process(proxy.process.pid).memory_info().rss
        peer.send(STREAM)
        sender.start()
        client.head()
        size = len(client.received)
        while size < 100 << 20:
            size += len(client.socket.recv(1 << 20))
        sender.join()
    grown = psutil.Process(proxy.process.pid).memory_info().rss - before
    proxy.end()
    (entry,) = entries(proxy.spools()[0], "response")
    assert entry.size == (count << 20) + 36
    assert 0 <= (16 << 20) - len(entry.content) < 100
    assert grown < 80 << 20


def test_a_signal_ends_the_proxy_and_its_recordings(proxy: Proxy, server: RawServer) -> None:
    exchange(proxy, server, proxy.request(CALL), OK)
    begun = time.monotonic()
    code, _ = proxy.end()
    assert code == 128 + 15
    assert time.monotonic() - begun < 10
    spool = proxy.spools()[0]
    assert spool.is_over() and spool.status().ended
    eventually(spool.is_over, what="the lock is free")
