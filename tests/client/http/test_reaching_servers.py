"""Where the proxy listens and whom it reaches; what stands in the way is named, with the way out."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from pathlib import Path

import pytest
from km_client.proxy.http.listener import exposure
from km_client.proxy.http.target import parse_url

from tests.client.http.raw_http import CALL, OK, Peer, Proxy, RawServer, facts


def test_a_port_in_use_is_said_with_the_way_out(server: RawServer, data_dir: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        Proxy(server.url, data_dir, "--listen", f"127.0.0.1:{server.port}")
    assert f"--listen 127.0.0.1:{server.port}: this port is in use" in str(caught.value)
    assert "hint: " in str(caught.value)


@pytest.mark.parametrize(
    "url", ["mcp.example.com", "ftp://x/y", "http://", "http://[::1", "http://a b/", "http://x:99999/"]
)
def test_a_malformed_url_is_named(url: str, data_dir: Path) -> None:
    with pytest.raises(AssertionError, match="error: --url"):
        Proxy(url, data_dir)


def refused(proxy: Proxy) -> str:
    """The message of the 502 that a client gets."""
    with proxy.connect() as client:
        client.send(proxy.request(CALL))
        answer = client.rest()
    assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    message: str = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"]
    return message


def test_a_server_that_is_away_is_a_502_a_line_and_a_fact(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Proxy(f"http://127.0.0.1:{port}/mcp", data_dir) as proxy:
        assert f"nothing listens at 127.0.0.1:{port}" in refused(proxy)
        assert refused(proxy)
        assert proxy.end()[1].count("nothing listens") == 1
    assert [fact["kind"] for fact in facts(proxy.spools()[0])] == ["f", "f"]


def test_an_unknown_host_is_named(data_dir: Path) -> None:
    with Proxy("https://no-such-host.invalid/mcp", data_dir) as proxy:
        assert "the host no-such-host.invalid is unknown" in refused(proxy)


def test_a_server_without_tls_and_one_that_nobody_vouches_for_are_told_apart(
    server: RawServer, data_dir: Path, self_signed: tuple[Path, Path]
) -> None:
    with Proxy(server.url.replace("http:", "https:"), data_dir) as proxy:
        threading.Thread(target=lambda: server.accept().send(b"HTTP/1.1 400 Bad Request\r\n\r\n")).start()
        assert "does not speak TLS" in refused(proxy)
    certificate, key = self_signed
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve() -> None:
        connection = server.accept().socket
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                peer = Peer(secure)
                peer.head()
                peer.send(OK)
        except ssl.SSLError:
            return

    url = f"https://localhost:{server.port}/mcp"
    with Proxy(url, data_dir) as proxy:
        threading.Thread(target=serve).start()
        message = refused(proxy)
        assert "is not accepted" in message and "SSL_CERT_FILE" in message
    with Proxy(url, data_dir, env={"SSL_CERT_FILE": str(certificate)}) as proxy, proxy.connect() as client:
        threading.Thread(target=serve).start()
        client.send(proxy.request(CALL))
        assert client.exactly(len(OK)) == OK


def test_the_proxy_of_the_environment_is_used_and_its_refusal_told(server: RawServer, data_dir: Path) -> None:
    env = {"HTTPS_PROXY": f"http://user:pw@127.0.0.1:{server.port}", "NO_PROXY": "other.example"}

    def refuse() -> None:
        peer = server.accept()
        seen.append(peer.head())
        peer.send(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    seen: list[bytes] = []
    with Proxy("https://mcp.example/mcp", data_dir, env=env) as proxy:
        threading.Thread(target=refuse).start()
        assert "refused a tunnel: 407" in refused(proxy)
    assert seen[0].startswith(b"CONNECT mcp.example:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpwdw==\r\n" in seen[0]


@pytest.mark.parametrize(("address", "is_exposed"), [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True)])
def test_who_listens_beyond_this_machine_is_told(address: str, is_exposed: bool) -> None:
    told = exposure(address, parse_url("https://me:secret@mcp.example/mcp?key=secret"))
    assert bool(told) == is_exposed and "secret" not in told
