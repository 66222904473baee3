"""A server over HTTP is the same directly, through the proxy and over the bridge: for the official client, in every
revision and transport, with servers of the official SDKs; and what was said is recorded.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
import requests
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.types import CreateMessageResult, ElicitResult, TextContent

from tests.client.http.raw_http import Proxy, entries
from tests.end_to_end.laptop import KM_CLIENT, Laptop
from tests.end_to_end.waiting import eventually

ROOT = Path(__file__).resolve().parent.parent.parent
REMOTE = [sys.executable, str(ROOT / "tests" / "client" / "http" / "remote_server.py")]
HANDSHAKE_REVISIONS = ["2025-03-26", "2025-06-18", "2025-11-25"]
WAYS = ["proxy", "bridge"]
TOLD = "the server was told of the cancellation"
Start = Callable[..., str]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a server and return its URL: `start("streamable")`, `start("everything", "streamableHttp")`."""
    with ExitStack() as stack:

        def started(kind: str, command: list[str] | None = None) -> str:
            port, environment = 0, dict(os.environ)
            if command:
                port = _free_port()
                environment["PORT"] = str(port)
            process = subprocess.Popen(command or [*REMOTE, kind], env=environment, stdout=subprocess.PIPE)
            stack.callback(process.wait)
            stack.callback(process.kill)
            assert process.stdout
            stack.callback(process.stdout.close)
            port = port or int(process.stdout.readline())
            eventually(lambda: _listens(port), what=f"{kind} listens")
            return f"http://127.0.0.1:{port}/{'sse' if kind == 'sse' else 'mcp'}"

        yield started


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Visit:
    """A client's visit to `remote_server.py`, and all it saw, in words that do not depend on time or place."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def run(self, target: Any, mode: str, has_back_channel: bool = True) -> list[str]:
        """A server that answers with JSON alone has no back channel: it cannot ask in return."""
        client = Client(
            target,
            mode=mode,
            read_timeout_seconds=60,
            sampling_callback=self.sample,
            elicitation_callback=self.elicit,
        )
        try:
            async with client:
                self.seen.append(str(sorted(tool.name for tool in (await client.list_tools()).tools)))
                await self.call(client, "echo", text="Grüße \u2028 🦑\n")
                await self.call(client, "count_to", last=3)
                await self.call(client, "fail")
                await self.call(client, "no_such_tool")
                await self.call(client, "fill", size=200_000)
                if has_back_channel:
                    await self.call(client, "ask_the_person")
                if has_back_channel and mode == "legacy":
                    await self.call(client, "ask_the_model")
                await self.cancel(client, asks=200 if has_back_channel or mode == "legacy" else 5)
        except* anyio.ClosedResourceError:  # the SDK's own: a call given up was answered while it closed
            assert self.seen[-1:] == [TOLD]
        return self.seen

    async def call(self, client: Client, name: str, **arguments: Any) -> None:
        async def progressed(progress: float, total: float | None, message: str | None) -> None:
            self.seen.append(f"progress {progress} {total} {message}")

        try:
            result = await client.call_tool(name, arguments, progress_callback=progressed)
            self.seen.append(f"{name}: {result.is_error} {[getattr(part, 'text', part) for part in result.content]}")
        except MCPError as error:
            self.seen.append(f"{name}: {error.error.code} {error.error.message}")

    async def cancel(self, client: Client, asks: int) -> None:
        """Give up a call, and learn from the server that it was told, within that many questions."""
        name = f"{id(self)}"
        with anyio.move_on_after(1.0):
            await client.call_tool("wait_long", {"name": name})
        for _ in range(asks):
            told = await client.call_tool("was_cancelled", {"name": name})
            if getattr(told.content[0], "text", "") == "1":
                self.seen.append(TOLD)
                return
            await anyio.sleep(0.05)

    async def sample(self, context: Any, params: Any) -> CreateMessageResult:  # noqa: ARG002
        self.seen.append("the server asked for the model")
        return CreateMessageResult(role="assistant", content=TextContent(type="text", text="blue"), model="m")

    async def elicit(self, context: Any, params: Any) -> ElicitResult:  # noqa: ARG002
        self.seen.append("the server asked for the person")
        return ElicitResult(action="accept", content={"color": "green"})


def bridge(url: str, laptop: Laptop, *flags: str) -> StdioServerParameters:
    arguments = ["monitor", "--local-only", "--url", url, *flags]
    return StdioServerParameters(command=KM_CLIENT, args=arguments, env={**os.environ, **laptop.alone})


def visit(target: Any, mode: str, kind: str = "") -> list[str]:
    """A server that answers with JSON alone cannot ask in return."""
    return anyio.run(Visit().run, target, mode, kind != "json")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])
@pytest.mark.parametrize("kind", ["streamable", "json"])
def test_the_official_client_sees_the_same_server(kind: str, mode: str, way: str, start: Start, laptop: Laptop) -> None:
    url = start(kind)
    directly = visit(url, mode, kind)
    told = TOLD in directly
    assert told or (kind == "json" and mode != "legacy"), "a closed stream is its only word there, and there is none"
    if way == "bridge":
        assert visit(bridge(url, laptop), mode, kind) == directly
        return
    with Proxy(url, laptop.data_dir) as proxy:
        assert visit(proxy.url, mode, kind) == directly


@pytest.mark.parametrize("way", WAYS)
def test_legacy_sse_is_the_same_server(way: str, start: Start, laptop: Laptop) -> None:
    url = start("sse")
    directly = visit(sse_client(url), "legacy")
    assert "the server asked for the person" in directly
    if way == "bridge":
        assert visit(bridge(url, laptop), "legacy") == directly
        assert visit(bridge(url, laptop, "--transport", "sse"), "legacy") == directly
        return
    with Proxy(url, laptop.data_dir) as proxy:
        assert visit(sse_client(proxy.url), "legacy") == directly
    spool = proxy.spools()[0]
    assert len(proxy.spools()) == 1, "the stream and what is posted beside it are one session"
    assert b'"initialize"' in entries(spool, "request")[0].content
    assert len(entries(spool, "response")) > 5


async def resume(target: Any) -> str:
    async with Client(target, mode="legacy", read_timeout_seconds=30) as client:
        result = await client.call_tool("lose_the_connection", {})
        return str(getattr(result.content[0], "text", ""))


@pytest.mark.parametrize("way", ["direct", *WAYS])
def test_a_stream_that_ends_is_taken_up_again(way: str, start: Start, laptop: Laptop) -> None:
    url = start("streamable")
    with ExitStack() as stack:
        if way == "proxy":
            target: Any = stack.enter_context(Proxy(url, laptop.data_dir)).url
        else:
            target = bridge(url, laptop) if way == "bridge" else url
        assert anyio.run(resume, target) == "found again"


@pytest.mark.parametrize("transport", ["streamableHttp", "sse"])
def test_the_npm_server_is_the_same_server(
    transport: str, start: Start, laptop: Laptop, npm_server: dict[str, list[str]]
) -> None:
    kind = "sse" if transport == "sse" else "everything"
    url = start(kind, [npm_server["everything"][0], transport])

    async def look(target: Any) -> list[str]:
        async with Client(target, mode="legacy", read_timeout_seconds=60) as client:
            tools = sorted(tool.name for tool in (await client.list_tools()).tools)
            echoed = await client.call_tool("echo", {"message": "héllo"})
            summed = await client.call_tool("get-sum", {"a": 2, "b": 3})
            prompts = sorted(prompt.name for prompt in (await client.list_prompts()).prompts)
            resources = len((await client.list_resources()).resources)
            return [str(tools), str(echoed.content), str(summed.content), str(prompts), str(resources)]

    def reach(address: str) -> Any:
        return sse_client(address) if transport == "sse" else address

    directly = anyio.run(look, reach(url))
    with Proxy(url, laptop.data_dir) as proxy:
        assert anyio.run(look, reach(proxy.url)) == directly
    assert anyio.run(look, bridge(url, laptop)) == directly


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_each_handshake_revision_passes_unchanged(revision: str, start: Start, laptop: Laptop) -> None:
    url = start("json")

    def converse(address: str) -> list[object]:
        with requests.Session() as http:
            http.headers.update({"Accept": "application/json, text/event-stream"})
            client = {"name": "raw", "version": "1"}
            params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": client}
            first = http.post(address, json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
            http.headers["Mcp-Session-Id"] = first.headers["Mcp-Session-Id"]
            http.headers["MCP-Protocol-Version"] = revision
            noted = http.post(address, json={"jsonrpc": "2.0", "method": "notifications/initialized"})
            call = {"name": "echo", "arguments": {"text": "x"}}
            called = http.post(address, json={"jsonrpc": "2.0", "id": "b", "method": "tools/call", "params": call})
            unknown = http.post(address, json={"jsonrpc": "2.0", "id": 3, "method": "no/such"})
            gone = http.delete(address)
            after = http.post(address, json={"jsonrpc": "2.0", "id": 4, "method": "ping"})
            answers = (first, noted, called, unknown, gone, after)
            return [(answer.status_code, answer.headers.get("Content-Type"), answer.text) for answer in answers]

    directly = converse(url)
    assert revision in str(directly[0])
    with Proxy(url, laptop.data_dir) as proxy:
        assert converse(proxy.url) == directly
    spool = proxy.spools()[0]
    said = [json.loads(entry.content) for entry in entries(spool, "request")]
    assert [message.get("method") for message in said] == [
        "initialize", "notifications/initialized", "tools/call", "no/such"
    ]  # fmt: skip


def test_two_clients_at_once_are_two_sessions_and_nothing_is_mixed(start: Start, laptop: Laptop) -> None:
    url = start("streamable")

    async def talk(address: str, text: str) -> None:
        async with Client(address, mode="legacy", read_timeout_seconds=60) as client:
            for number in range(10):
                result = await client.call_tool("echo", {"text": f"{text} {number}"})
                assert getattr(result.content[0], "text", "") == f"{text} {number}"

    async def both(address: str) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(talk, address, "one")
            group.start_soon(talk, address, "two")

    with Proxy(url, laptop.data_dir) as proxy:
        anyio.run(both, proxy.url)
    spools = proxy.spools()
    assert len(spools) == 2
    for spool in spools:
        said = b"".join(entry.content for entry in entries(spool, "request"))
        assert (b'"one 9"' in said) != (b'"two 9"' in said)


def test_what_passed_reaches_the_service(
    start: Start, signed_in: Laptop, service: Any, account: Any, session_id: str
) -> None:
    """From the proxy through the agent to the server: calls with their answers, and a failure that is no silence."""
    url = start("streamable")
    flags = ("--session-id", session_id, "--server-name", "remote")
    with Proxy(url, signed_in.data_dir, *flags, env=signed_in.environment) as proxy:
        visit(proxy.url, "2026-07-28")
        requests.post(proxy.url, data="<xml/>", headers={"Content-Type": "text/xml", "Mcp-Method": "x"}, timeout=30)
    signed_in.wait_until_shipped()
    lines = [json.loads(line) for line in signed_in.km("logs", "-n", "1000", "--json").stdout.split("\n") if line]
    ours = [line for line in lines if line.get("session_id") == session_id]
    asked = next(line for line in ours if line.get("tool") == "echo" and line["type"] == "request")
    answered = next(line for line in ours if line["type"] == "response" and line["correlation_id"] == asked["id"])
    assert answered["duration_ms"] > 0
    failed = [line for line in ours if line.get("method") == "kilometers/http" and line["type"] == "error"]
    assert failed
