"""What a dial does not lead to leaves no connection behind."""

from __future__ import annotations

import asyncio

import pytest
from km_client.proxy.http import dialling
from km_client.proxy.http.dialling import DialError, Dialler
from km_client.proxy.http.target import parse_url

from tests.client.http.raw_http import RawServer


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 407 No\r\n\r\n"])
def test_a_proxy_that_is_silent_or_talks_nonsense_is_hung_up_on(
    server: RawServer, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setattr(dialling, "DIAL_SECONDS", 0.5 if not answer else 15.0)

    async def dial() -> None:
        task = asyncio.create_task(Dialler(parse_url("http://mcp.example/mcp")).dial())
        peer = await asyncio.to_thread(server.accept)
        await asyncio.to_thread(peer.head)
        peer.send(answer)
        with pytest.raises(DialError):
            await task
        assert await asyncio.to_thread(peer.sees_the_end)

    asyncio.run(dial())
