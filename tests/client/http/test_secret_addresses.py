"""An address that is itself a key reaches the server whole, and is shown, said and written down without it."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
from km_client.errors import ClientError
from km_client.proxy.http import target
from km_client.proxy.http.hiding import HIDDEN, hidden_url, looks_secret
from km_client.proxy.http.target import parse_url

from tests.client.http.raw_http import CALL, OK, STREAM, Proxy, RawServer, chunk, exchange
from tests.client.http.test_bridge import Bridge, answer, result

KEY, QUERY, PASSWORD = "9fKqT2vLx0Zr", "q-s3cr3t", "pa%20ssw0rd"
SECRETS = (KEY, QUERY, PASSWORD, "pa ssw0rd")
PAGE = f"<pre>Cannot POST /s/{KEY}/mcp?api_key={QUERY}</pre>".encode()
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE)


def secret_url(server: RawServer) -> str:
    return f"http://me:{PASSWORD}@127.0.0.1:{server.port}/s/{KEY}/mcp?api_key={QUERY}"


def assert_kept(data_dir: Path, said: str) -> None:
    """None of the secrets stands in what was said, or in any file or its name."""
    for path in data_dir.rglob("*"):
        said += str(path) + (path.read_bytes().decode("latin-1") if path.is_file() else "")
    assert HIDDEN in said and [secret for secret in SECRETS if secret in said] == []


@pytest.mark.parametrize(
    "segment",
    [
        "550e8400-e29b-41d4-a716-446655440000",
        KEY,
        "%39fKqT2vLx0Zr",
        "mcp_live_8Hx9Ka02",
        "qwzxkjvbpmrtlcdnfghsyeao",
        "1f0c3a9e5b7d2486",
    ],
)
def test_a_key_in_a_path_is_known_for_one(segment: str) -> None:
    assert looks_secret(segment)


@pytest.mark.parametrize(
    "segment", ["mcp", "v1", "2025-11-25", "my-organisation-prod-2", "getUserProfile", "server-everything", "", "API2"]
)
def test_a_name_in_a_path_is_shown(segment: str) -> None:
    assert not looks_secret(segment)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@host/s/9fKqT2vLx0Zr/mcp?key=k#f", f"https://host/s/{HIDDEN}/mcp"),
        ("/s/9fKqT2vLx0Zr", f"/s/{HIDDEN}"),
        ("https://9fKqT2vLx0Zr.example", "https://9fKqT2vLx0Zr.example"),
        ("https://host/x?back=https://me:pw@host", "https://host/x"),
        ("", ""),
    ],
)
def test_what_a_server_names_is_told_without_its_secrets(url: str, shown: str) -> None:
    assert hidden_url(url) == shown


def test_a_server_is_known_by_its_whole_address_and_not_by_who_asks() -> None:
    plain, first, second = (parse_url(f"https://h/s/{key}mcp") for key in ("", f"{KEY}/", f"{KEY[::-1]}/"))
    assert plain.known_as == "https://h/s/mcp"
    assert first.shown == second.shown and first.known_as != second.known_as
    assert first.known_as == parse_url(f"https://me:new@h/s/{KEY}/mcp").known_as
    assert parse_url("https://h/mcp?tenant=a").known_as != parse_url("https://h/mcp?tenant=b").known_as


@pytest.mark.parametrize("url", ["https://me:pa/ssw0rd@h/", "https://me:ssw0rd@[::1/", "https://h:ssw0rd/"])
def test_an_error_quotes_no_part_of_the_address(url: str) -> None:
    with pytest.raises(ClientError) as caught:
        parse_url(url)
    assert "ssw0rd" not in f"{caught.value.message}{caught.value.hint}"


def test_the_listener_puts_the_secret_in_its_place(server: RawServer, data_dir: Path) -> None:
    with Proxy(secret_url(server), data_dir) as proxy:
        path = proxy.url.partition(str(proxy.port))[2].encode()
        assert path == f"/s/{HIDDEN}/mcp".encode()
        head, got = exchange(proxy, server, proxy.request(CALL, path=path), NOT_FOUND)
        assert head.startswith(f"POST /s/{KEY}/mcp?api_key={QUERY} HTTP/1.1\r\n".encode())
        assert got == NOT_FOUND, "what the server says passes as it is"
        below = f"/.well-known/x/s/{HIDDEN}/messages?a=1".encode()
        head, _ = exchange(proxy, server, proxy.request(b"", method=b"GET", path=below), OK)
        assert head.startswith(f"GET /.well-known/x/s/{KEY}/messages?a=1 HTTP/1.1\r\n".encode())
        moved = b"HTTP/1.1 302 Found\r\nLocation: https://x.example/s/%b\r\nContent-Length: 0\r\n\r\n" % KEY.encode()
        exchange(proxy, server, proxy.request(CALL, path=path), moved)
        _, said = proxy.end()
    assert_kept(data_dir, said + json.dumps(proxy.said))


def test_the_messages_of_a_2024_stream_find_their_place_below_a_secret(server: RawServer, data_dir: Path) -> None:
    url = f"http://127.0.0.1:{server.port}/s/{KEY}/sse"
    with Proxy(url, data_dir) as proxy, proxy.connect() as stream:
        stream.send(proxy.request(b"", method=b"GET", path=f"/s/{HIDDEN}/sse".encode()))
        peer = server.accept()
        assert peer.head().startswith(f"GET /s/{KEY}/sse ".encode())
        peer.send(STREAM + chunk(b"event: endpoint\ndata: messages?id=7\n\n"))
        stream.until(b"id=7")
        posted = proxy.request(CALL, path=f"/s/{HIDDEN}/messages?id=7".encode())
        assert exchange(proxy, server, posted, OK)[0].startswith(f"POST /s/{KEY}/messages?id=7 ".encode())
        proxy.end()
    assert len(proxy.spools()) == 1, "it belongs to the stream's session"


def test_the_bridge_tells_nobody_either(server: RawServer, data_dir: Path) -> None:
    with Bridge(secret_url(server), data_dir, "--transport", "http") as bridge:
        bridge.say(id=1, method="ping")
        peer = server.accept()
        assert peer.head().startswith(f"POST /s/{KEY}/mcp?api_key={QUERY} HTTP/1.1\r\n".encode())
        peer.send(NOT_FOUND)
        said = json.dumps(bridge.hear())
        bridge.say(id=2, method="ping")
        peer.head()
        peer.send(b"HTTP/1.1 307 x\r\nLocation: https://x.example/s/%b\r\nContent-Length: 0\r\n\r\n" % KEY.encode())
        said += json.dumps(bridge.hear())
        out, errors = bridge.finish()
    assert_kept(data_dir, f"{said}{out!r}{errors!r}")


def test_variables_are_filled_in_here_so_that_no_argument_holds_them(server: RawServer, data_dir: Path) -> None:
    url = f"http://127.0.0.1:{server.port}/s/${{PLACE}}/mcp"
    flags = ("--header", "Authorization: Bearer ${NOTES_TOKEN}", "--header", "X-A: ${env:NOTES_TOKEN}")
    env = {"PLACE": "word", "NOTES_TOKEN": "t0ken"}
    with Bridge(url, data_dir, *flags, env=env) as bridge:
        bridge.say(id=1, method="ping")
        peer = server.accept()
        head = peer.head()
        assert head.startswith(b"POST /s/word/mcp HTTP/1.1\r\n")
        assert b"Authorization: Bearer t0ken\r\n" in head and b"X-A: t0ken\r\n" in head
        arguments = " ".join(psutil.Process(bridge.process.pid).cmdline())
        assert "t0ken" not in arguments and "word" not in arguments
        peer.send(answer(result(1)))
        bridge.hear()
        bridge.finish()
        assert f"/s/{HIDDEN}/mcp" in next(data_dir.rglob("session.json")).read_text()


@pytest.mark.parametrize("said", ["env:PLACE", "${PLACE}", "${env:PLACE}"])
def test_a_whole_address_may_be_a_variable(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "https://h/s/word")
    found = target.from_option(said)
    assert found.path == "/s/word" and found.shown == f"https://h/{HIDDEN}/{HIDDEN}"


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Connection"])
def test_what_frames_a_request_cannot_be_given(name: str) -> None:
    with pytest.raises(ClientError, match=f"--header {name}: this header cannot be given"):
        target.parse_headers([f"{name}: 5"])


@pytest.mark.parametrize("read", [target.from_option, lambda text: target.parse_headers([f"A: {text}"])])
def test_a_variable_that_is_not_set_is_named(read: object) -> None:
    with pytest.raises(ClientError, match="the variable NO_SUCH_KEY is not set"):
        read("https://h/${NO_SUCH_KEY}")  # type: ignore[operator]
