"""The bridge: lines in, requests out; JSON, events and failures in, lines out. With a server of raw bytes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

from tests.client.http.raw_http import Peer, RawServer, entries, facts
from tests.client.monitored import KM_CLIENT, Monitored

META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n%b\r\n"


class Bridge(Monitored):
    """`km-client monitor --url URL`."""

    def __enter__(self) -> Self:
        return self

    def __init__(self, url: str, data_dir: Path, *flags: str, env: dict[str, str] | None = None) -> None:
        super().__init__([], data_dir, "--url", url, *flags, env=env)

    def say(self, **message: Any) -> None:
        self.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.read_line())
        return message


Start = Callable[..., Bridge]


@pytest.fixture
def bridge(server: RawServer, data_dir: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def start(*flags: str, path: str = "/mcp", **options: Any) -> Bridge:
            url = server.url.removesuffix("/mcp") + path
            return stack.enter_context(Bridge(url, data_dir, *flags, **options))

        yield start


def answer(body: bytes, status: str = "200 OK", *fields: str, kind: str = "application/json") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def result(identifier: object, **value: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": identifier, "result": value}).encode()


def asked(peer: Peer) -> tuple[str, bytes]:
    """The head and the body of the next request."""
    head = peer.head().decode()
    length = next((line.partition(":")[2] for line in head.split("\r\n") if line.startswith("Content-Length:")), "0")
    return head, peer.exactly(int(length))


def test_a_session_bears_its_id_and_version_and_is_ended(bridge: Start, server: RawServer) -> None:
    client = bridge("--header", "Authorization: Bearer t")
    client.say(id=1, method="initialize", params={"protocolVersion": "2025-11-25"})
    peer = server.accept()
    head, body = asked(peer)
    assert head.startswith("POST /mcp HTTP/1.1\r\n") and "Authorization: Bearer t\r\n" in head
    assert "Accept: application/json, text/event-stream\r\n" in head and "MCP-Protocol-Version" not in head
    assert json.loads(body)["method"] == "initialize"
    peer.send(answer(result(1, protocolVersion="2025-06-18"), "200 OK", "Mcp-Session-Id: s1"))
    assert client.hear()["result"]["protocolVersion"] == "2025-06-18"
    client.say(id="x", method="ping")
    head, _ = asked(peer)
    assert "Mcp-Session-Id: s1\r\n" in head and "MCP-Protocol-Version: 2025-06-18\r\n" in head
    peer.send(answer(result("x")))
    assert client.hear()["id"] == "x"
    assert client.process.stdin
    client.process.stdin.close()
    head, _ = asked(peer)
    assert head.startswith("DELETE /mcp HTTP/1.1\r\n") and "Mcp-Session-Id: s1\r\n" in head
    peer.send(answer(b"", "204 No Content"))
    assert client.wait() == 0


def test_a_header_of_ones_own_replaces_the_bridges(bridge: Start, server: RawServer) -> None:
    client = bridge("--header", "user-agent: mine")
    client.say(id=1, method="ping")
    peer = server.accept()
    head, _ = asked(peer)
    peer.send(answer(result(1)))
    assert "user-agent: mine\r\n" in head and "User-Agent" not in head
    assert "Accept-Encoding: identity\r\n" in head, "without one, any compression would be welcome"


@pytest.mark.parametrize("ids", [{"id": 1}, {}])
def test_a_server_that_takes_nothing_outlives_no_client(bridge: Start, server: RawServer, ids: dict[str, int]) -> None:
    client = bridge()
    client.say(**ids, method="ping")
    asked(server.accept())
    client.finish()
    assert client.process.returncode == 0


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "switched to another protocol"),
        (b"\0\0\x12\x04\0\0\0\0\0", "the server's answer is no proper HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "the server's answer is no proper HTTP"),
    ],
)
def test_what_is_no_answer_is_not_waited_for_and_is_the_servers_fault(
    bridge: Start, server: RawServer, said: bytes, problem: str
) -> None:
    client = bridge()
    client.say(id=1, method="ping")
    peer = server.accept()
    asked(peer)
    peer.send(said)
    assert problem in client.hear()["error"]["message"]


def test_events_and_pretty_json_become_lines_and_are_recorded_byte_for_byte(bridge: Start, server: RawServer) -> None:
    client = bridge()
    pretty = json.dumps(json.loads(result(1, text="a\u2028b\\n")), indent=1, ensure_ascii=False).encode()
    client.say(id=1, method="tools/list", params={"_meta": META})
    peer = server.accept()
    asked(peer)
    progress = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}'
    data = b"data: " + pretty.replace(b"\n", b"\ndata: ") + b"\n\n"
    peer.send(STREAM % b"" + chunk(b": ping\n\ndata: " + progress + b"\n\n"))
    assert client.read_line() == progress + b"\n"
    peer.send(chunk(data) + b"0\r\n\r\n")
    line = client.read_line()
    assert line.count(b"\n") == 1 and json.loads(line) == json.loads(pretty)
    client.finish()
    assert [entry.content for entry in entries(client.session(), "response")] == [progress, pretty]


def test_a_request_of_2026_07_28_bears_its_metadata(bridge: Start, server: RawServer) -> None:
    client = bridge()
    schema = {"properties": {"region": {"type": "string", "x-mcp-header": "Region"}, "n": {"type": "integer"}}}
    client.say(id=1, method="tools/list", params={"_meta": META})
    peer = server.accept()
    assert "Mcp-Method: tools/list\r\n" in asked(peer)[0]
    peer.send(answer(result(1, tools=[{"name": "grüß", "inputSchema": schema}])))
    client.hear()
    arguments = {"region": " eu\n", "n": 1}
    client.say(id=2, method="tools/call", params={"name": "grüß", "arguments": arguments, "_meta": META})
    head, _ = asked(peer)
    assert "MCP-Protocol-Version: 2026-07-28\r\n" in head
    assert "Mcp-Name: =?base64?Z3LDvMOf?=\r\n" in head and "Mcp-Param-Region: =?base64?IGV1Cg==?=\r\n" in head
    assert "Mcp-Param-N" not in head


def test_cancelling_in_2026_07_28_closes_the_stream_and_posts_nothing(bridge: Start, server: RawServer) -> None:
    client = bridge()
    client.say(id=7, method="subscriptions/listen", params={"_meta": META})
    peer = server.accept()
    asked(peer)
    peer.send(STREAM % b"" + chunk(b'data: {"jsonrpc":"2.0","method":"notifications/x"}\n\n'))
    client.hear()
    client.say(method="notifications/cancelled", params={"requestId": 7})
    assert peer.sees_the_end()
    assert not server.has_a_connection()


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (answer(b"<html>", "502 Bad Gateway", kind="text/html"), -32603, "502 Bad Gateway"),
        (answer(b"", "401 Unauthorized", 'WWW-Authenticate: Bearer realm="x"'), -32603, "--header 'Authorization"),
        (answer(b"hello", kind="text/plain"), -32600, "text/plain"),
        (answer(b"", "202 Accepted"), -32603, "no answer"),
        (answer(b"", "307 Temporary Redirect", "Location: https://elsewhere.example/mcp?k=1"), -32603, "elsewhere"),
        (answer(b"", "302 Found", "Location: /other"), -32603, "302"),
        (answer(b"{}")[:-1], -32603, "middle of its answer"),
        (STREAM % b"" + chunk(b": nothing\n\n") + b"0\r\n\r\n", -32603, "without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", -32603, "Content-Length"),
        (b"", -32603, "without an answer"),
    ],
)
def test_no_request_stays_without_an_answer(
    reply: bytes, code: int, words: str, bridge: Start, server: RawServer
) -> None:
    client = bridge("--transport", "http")
    client.say(id="a", method="tools/call", params={"_meta": META, "name": "x"})
    peer = server.accept()
    asked(peer)
    if reply:
        peer.send(reply)
    peer.socket.shutdown(socket.SHUT_WR)
    message = client.hear()
    assert (message["id"], message["error"]["code"]) == ("a", code)
    assert words in message["error"]["message"] and "k=1" not in message["error"]["message"]
    client.finish()
    assert [fact["kind"] for fact in facts(client.session())] == ["f"]


def test_a_json_rpc_error_at_any_status_is_the_answer(bridge: Start, server: RawServer) -> None:
    client = bridge()
    client.say(id=5, method="server/discover", params={"_meta": META})
    peer = server.accept()
    asked(peer)
    error = {"code": -32022, "message": "no", "data": {"supported": ["2025-11-25"]}}
    peer.send(answer(json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode(), "400 Bad Request"))
    assert client.hear() == {"jsonrpc": "2.0", "id": 5, "error": error}


def test_a_redirect_within_the_server_is_followed_with_its_body(bridge: Start, server: RawServer) -> None:
    client = bridge()
    client.say(id=1, method="ping", params={"_meta": META})
    peer = server.accept()
    asked(peer)
    peer.send(answer(b"", "308 Permanent Redirect", "Location: /mcp/"))
    head, body = asked(peer)
    assert head.startswith("POST /mcp/ HTTP/1.1\r\n") and json.loads(body)["id"] == 1
    peer.send(answer(result(1)))
    assert client.hear()["id"] == 1


def test_a_stream_that_breaks_off_is_resumed_after_the_servers_retry(bridge: Start, server: RawServer) -> None:
    client = bridge()
    client.say(id=1, method="tools/call", params={"name": "x"})
    peer = server.accept()
    asked(peer)
    peer.send(STREAM % b"" + chunk(b"id: e1\nretry: 20\ndata:\n\n"))
    peer.reset()
    again = server.accept()
    head, _ = asked(again)
    assert head.startswith("GET /mcp HTTP/1.1\r\n") and "Last-Event-ID: e1\r\n" in head
    again.send(STREAM % b"" + chunk(b"id: e2\ndata: " + result(1, ok=True) + b"\n\n") + b"0\r\n\r\n")
    assert client.hear()["result"] == {"ok": True}


def test_a_server_of_2024_11_05_is_found_behind_a_405(bridge: Start, server: RawServer) -> None:
    client = bridge(path="/sse?k=v")
    client.say(id=1, method="initialize", params={"protocolVersion": "2024-11-05"})
    peer = server.accept()
    assert asked(peer)[0].startswith("POST /sse?k=v HTTP/1.1")
    peer.send(answer(b"no", "405 Method Not Allowed", kind="text/plain"))
    head, _ = asked(peer)
    assert head.startswith("GET /sse?k=v HTTP/1.1\r\n")
    peer.send(STREAM % b"" + chunk(b"event: endpoint\ndata: /messages?session_id=9\n\n"))
    posts = server.accept()
    assert asked(posts)[0].startswith("POST /messages?session_id=9 HTTP/1.1")
    posts.send(answer(b"Accepted", "202 Accepted", kind="text/plain"))
    peer.send(chunk(b"event: message\ndata: " + result(1, protocolVersion="2024-11-05") + b"\n\n"))
    assert client.hear()["result"]["protocolVersion"] == "2024-11-05"
    peer.send(b"0\r\n\r\n")
    assert client.wait() == 1, "the session cannot go on: as a stdio server that ended"


def test_a_session_that_the_server_forgot_begins_anew(bridge: Start, server: RawServer) -> None:
    client = bridge()
    client.say(id=1, method="initialize", params={"protocolVersion": "2025-11-25"})
    peer = server.accept()
    hello = asked(peer)[1]
    peer.send(answer(result(1, protocolVersion="2025-11-25"), "200 OK", "Mcp-Session-Id: s1"))
    client.hear()
    client.say(id=2, method="tools/call", params={"name": "x"})
    assert "Mcp-Session-Id: s1\r\n" in asked(peer)[0]
    peer.send(answer(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"gone"}}', "404 Not Found"))
    head, body = asked(peer)
    assert body == hello and "Mcp-Session-Id" not in head
    peer.send(answer(result(1, protocolVersion="2025-11-25"), "200 OK", "Mcp-Session-Id: s2"))
    assert json.loads(asked(peer)[1])["method"] == "notifications/initialized"
    peer.send(answer(b"", "202 Accepted"))
    head, body = asked(peer)
    assert "Mcp-Session-Id: s2\r\n" in head and json.loads(body)["id"] == 2
    peer.send(answer(result(2)))
    assert client.hear()["id"] == 2, "the client hears of its own requests only"


def test_an_endpoint_elsewhere_is_not_trusted(bridge: Start, server: RawServer) -> None:
    client = bridge("--transport", "sse", path="/sse")
    peer = server.accept()
    asked(peer)
    peer.send(STREAM % b"" + chunk(b"event: endpoint\ndata: https://elsewhere.example/m\n\n"))
    assert client.wait() == 1
    assert not server.has_a_connection()


def test_requests_do_not_wait_for_each_other(bridge: Start, server: RawServer) -> None:
    client = bridge("--transport", "http")
    client.say(id=1, method="tools/call", params={"_meta": META})
    client.say(id=2, method="tools/call", params={"_meta": META})
    first, second = server.accept(), server.accept()
    asked(first)
    second.send(answer(result(json.loads(asked(second)[1])["id"])))
    client.hear()
    first.send(answer(result(0)))


@pytest.mark.parametrize("line", [b"no json\n", b"[]\n", b"\xff\n", b"3\n"])
def test_a_line_that_is_no_message_is_answered_and_nothing_is_posted(
    line: bytes, bridge: Start, server: RawServer
) -> None:
    client = bridge()
    client.write(line)
    message = client.hear()
    assert (message["id"], message["error"]["code"]) == (None, -32700)
    assert not server.has_a_connection()


def test_a_message_of_8_megabytes_passes_both_ways(bridge: Start, server: RawServer) -> None:
    client = bridge()
    text = "x" * (8 << 20)
    client.say(id=1, method="tools/call", params={"_meta": META, "text": text})
    peer = server.accept()
    assert json.loads(asked(peer)[1])["params"]["text"] == text
    large = result(1, text=text)
    peer.send(STREAM % b"" + chunk(b"data: " + large + b"\n\n") + b"0\r\n\r\n")
    assert client.read(len(large) + 1) == large + b"\n"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--header", "no colon"], "--header must be"),
        (["--header", "X: env:NOT_SET_ANYWHERE"], "the variable NOT_SET_ANYWHERE is not set"),
        (["--header", "X: a\nY: b"], "its value cannot be sent"),
        (["--", "echo"], "both --url and a command"),
    ],
)
def test_bad_flags_are_named(flags: list[str], words: str, server: RawServer, data_dir: Path) -> None:
    done = subprocess.run(
        [KM_CLIENT, "monitor", "--url", server.url, *flags],
        env={**os.environ, "KM_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2 and words in done.stderr
