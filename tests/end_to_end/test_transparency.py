"""The relay changes nothing: both sides of it see the same bytes, for every revision and for hostile streams."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client, MCPError, StdioServerParameters

from tests.end_to_end.hostile import STREAMS
from tests.end_to_end.laptop import Laptop
from tests.end_to_end.raw_client import RawClient

ROOT = Path(__file__).resolve().parent.parent.parent
SERVERS = ROOT / "tests" / "mcp_servers"
ECHO = [sys.executable, str(SERVERS / "echo_server.py")]
HANDSHAKE_REVISIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
TEE = [sys.executable, str(ROOT / "scripts" / "recording_tee.py")]


def local(laptop: Laptop, *server: str) -> list[str]:
    """A monitored server whose bytes stay on the laptop: these tests need no service."""
    return laptop.monitor_command(*server, session_id="transparent", options=("--local-only",))


def same_on_both_sides(outside: Path, inside: Path) -> None:
    """What the two tees around the relay recorded is the same in each direction, and is not nothing."""
    for stream in ("to_server", "from_server"):
        assert (outside / stream).read_bytes() == (inside / stream).read_bytes(), stream
        assert (inside / stream).stat().st_size > 0


@pytest.mark.parametrize("chunk", [65536, 997])
@pytest.mark.parametrize("name", STREAMS)
def test_hostile_bytes_pass_unchanged_in_both_directions(name: str, chunk: int, laptop: Laptop, tmp_path: Path) -> None:
    stream = STREAMS[name]
    sent, recorded = tmp_path / "sent", tmp_path / "recorded"
    sent.write_bytes(stream)
    server = [sys.executable, str(SERVERS / "raw_server.py"), "--send", str(sent), "--record", str(recorded)]
    with RawClient(local(laptop, *server, "--chunk", str(chunk)), laptop.alone) as client:
        for start in range(0, len(stream), chunk):
            client.send(stream[start : start + chunk])
        assert client.finish() == 0
        assert bytes(client.received) == stream
    assert recorded.read_bytes() == stream


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_a_conversation_of_each_handshake_revision_passes_unchanged(
    revision: str, laptop: Laptop, tmp_path: Path, npm_server: dict[str, list[str]]
) -> None:
    server = [*TEE, str(tmp_path), "--", *npm_server["everything"]]
    with RawClient(local(laptop, *server), laptop.alone) as client:
        assert client.initialize(revision)["result"]["protocolVersion"] == revision
        assert client.call_tool("echo", {"message": "Grüße \u2028 🦑"})["result"]
        assert client.request("no/such/method")["error"]["code"] == -32601
        client.finish()
    assert bytes(client.sent) == (tmp_path / "to_server").read_bytes()
    assert bytes(client.received) == (tmp_path / "from_server").read_bytes()


def test_batches_of_2025_03_26_pass_unchanged(laptop: Laptop, tmp_path: Path) -> None:
    with RawClient(local(laptop, *TEE, str(tmp_path), "--", *ECHO), laptop.alone) as client:
        client.initialize("2025-03-26")
        echo = {"name": "echo", "arguments": {"text": "one of a batch"}}
        client.send_message(
            [
                {"jsonrpc": "2.0", "id": "a", "method": "ping"},
                {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}},
                {"jsonrpc": "2.0", "id": "b", "method": "tools/call", "params": echo},
            ]
        )
        assert client.answer("b")["result"]["content"][0]["text"] == "one of a batch"
        client.finish()
    assert bytes(client.sent) == (tmp_path / "to_server").read_bytes()
    assert bytes(client.received) == (tmp_path / "from_server").read_bytes()


@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
def test_the_official_client_and_a_server_from_pypi_see_the_same_bytes(
    mode: str, laptop: Laptop, tmp_path: Path, pypi_server: dict[str, list[str]]
) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    relay = local(laptop, *TEE, str(inside), "--", *pypi_server["time"])
    anyio.run(use_time_server, [*TEE, str(outside), "--", *relay], laptop.alone, mode)
    same_on_both_sides(outside, inside)


async def use_time_server(command: list[str], environment: dict[str, str], mode: str) -> None:
    """A short visit: list, a call that succeeds, a call that fails."""
    server = StdioServerParameters(command=command[0], args=command[1:], env=environment)
    async with Client(server, mode=mode, read_timeout_seconds=30) as client:
        assert (await client.list_tools()).tools
        assert not (await client.call_tool("get_current_time", {"timezone": "Europe/Rome"})).is_error
        try:
            failed = await client.call_tool("get_current_time", {"timezone": "Nowhere/At_All"})
        except MCPError:
            return  # the other way a server may say so
        assert failed.is_error


def test_an_8_megabyte_answer_passes_unchanged(laptop: Laptop, tmp_path: Path) -> None:
    with RawClient(local(laptop, *TEE, str(tmp_path), "--", *ECHO), laptop.alone) as client:
        client.initialize("2025-11-25")
        answer = client.call_tool("fill", {"bytes": 8 * 1024 * 1024})
        assert len(answer["result"]["content"][0]["text"]) == 8 * 1024 * 1024
        client.finish()
    assert bytes(client.received) == (tmp_path / "from_server").read_bytes()
