"""The official SDK's client runs what a wrapped configuration says and talks to a real server; `logs` has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from mcp import Client, StdioServerParameters

from tests.client.monitored import KM_CLIENT
from tests.client.wrapping.homes import IDS, Home
from tests.client.wrapping.keyed_server import KEY_OF_ADDRESS, KEY_OF_HEADER
from tests.end_to_end.laptop import Laptop
from tests.end_to_end.waiting import eventually

SERVER = str(Path(sys.executable).with_name("mcp-server-time"))
REMOTE = [sys.executable, "-m", "tests.client.wrapping.keyed_server"]


def _under(key: str) -> Callable[[str], Any]:
    return lambda text: json.loads(text.replace("  // kept by hand\n", "").replace(" // where I live", ""))[key]["time"]


READ: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(IDS, _under("mcpServers")),
    "claude-code": lambda text: json.loads(text)["projects"]["/srv/app"]["mcpServers"]["time"],
    "vscode": _under("servers"),
    "zed": _under("context_servers"),
    "codex": lambda text: tomllib.loads(text)["mcp_servers"]["time"],
    "opencode": lambda text: json.loads(text.replace("/* far away */", ""))["mcp"]["time"],
    "goose": lambda text: yaml.safe_load(text)["extensions"]["time"],
}


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    laptop = Laptop(tmp_path / "laptop")
    yield laptop
    laptop.shut_down()


def km(laptop: Laptop, home: Home, *words: str) -> subprocess.CompletedProcess[str]:
    """`km-client` as a person runs it: a process of its own, in that home."""
    environment = {**os.environ, **laptop.environment, "HOME": str(home.path)}
    return subprocess.run([KM_CLIENT, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)


def started_by(client: str, text: str) -> tuple[str, list[str]]:
    """The program and arguments that this client would start, read by the format's own parser."""
    entry = READ[client](text.replace(",\n      ]", "\n      ]").replace('"quiet"},\n', '"quiet"}\n'))
    command = entry.get("command") or entry["cmd"]
    return (command[0], command[1:]) if isinstance(command, list) else (command, entry["args"])


async def ask_the_time(command: str, arguments: list[str], environment: dict[str, str]) -> bool:
    server = StdioServerParameters(command=command, args=arguments, env=environment)
    async with Client(server, read_timeout_seconds=60) as client:
        assert (await client.list_tools()).tools
        return not (await client.call_tool("get_current_time", {"timezone": "Europe/Rome"})).is_error


@pytest.mark.parametrize("client", ["cursor", "claude-code", "codex", "opencode", "goose", "zed"])
def test_a_wrapped_server_works_and_is_recorded(laptop: Laptop, home: Home, client: str) -> None:
    path = home.write(client, command=SERVER)
    before = path.read_bytes()
    assert km(laptop, home, "wrap", client).returncode == 0
    command, arguments = started_by(client, path.read_text())
    assert command == KM_CLIENT and SERVER in arguments
    assert anyio.run(ask_the_time, command, arguments, laptop.environment)

    def called() -> bool:
        return "get_current_time" in laptop.km("logs", "--method", "tools/call", "--responses").stdout

    assert eventually(called, what="the call in the log")
    assert km(laptop, home, "unwrap", client).returncode == 0
    assert path.read_bytes() == before
    assert anyio.run(ask_the_time, *started_by(client, before.decode()), laptop.environment)


@pytest.fixture
def remote() -> Iterator[str]:
    """The address of a real server that speaks Streamable HTTP, with the key that it asks for."""
    repository = Path(__file__).resolve().parents[3]
    with subprocess.Popen(REMOTE, stdout=subprocess.PIPE, text=True, cwd=repository) as server:
        assert server.stdout
        yield f"http://127.0.0.1:{int(server.stdout.readline())}/mcp?key={KEY_OF_ADDRESS}"
        server.terminate()


async def list_tools(command: str, arguments: list[str], environment: dict[str, str]) -> int:
    server = StdioServerParameters(command=command, args=arguments, env=environment)
    async with Client(server, read_timeout_seconds=60) as client:
        return len((await client.list_tools()).tools)


def test_a_wrapped_remote_server_works_and_is_recorded(laptop: Laptop, home: Home, remote: str) -> None:
    text = json.dumps({"mcpServers": {"far": {"type": "http", "url": remote, "headers": {"X-Key": KEY_OF_HEADER}}}})
    path = home.write("cursor", text)
    assert km(laptop, home, "wrap", "cursor").returncode == 0
    entry = json.loads(path.read_text())["mcpServers"]["far"]
    assert not [word for word in entry["args"] if KEY_OF_ADDRESS in word or KEY_OF_HEADER in word]
    assert anyio.run(list_tools, entry["command"], entry["args"], laptop.environment | entry["env"])

    def listed() -> bool:
        return "tools/list" in laptop.km("logs", "--responses").stdout

    assert eventually(listed, what="the list in the log")
    assert km(laptop, home, "unwrap", "cursor").returncode == 0
    assert path.read_text() == text
