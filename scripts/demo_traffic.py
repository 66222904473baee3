"""The demo's client side: the official MCP SDK's client, through `km-client monitor`, against a real MCP server.

The chain of one visit is  SDK client ─ tee ─ km-client monitor ─ tee ─ server.  The two tees keep what passed them, so
that the demo can prove that the relay changed nothing, and count what was relayed without asking the product.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client import Transport

from scripts.demo_steps import DemoError, say

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
ERAS = ("legacy", "2026-07-28")  # with the initialize handshake, and without
VISIT_SECONDS = 60.0
COMMAND_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RealServer:
    """An MCP server from PyPI and what to ask of it; the last call of `calls` fails, as calls do."""

    name: str
    package: str
    command: list[str]
    calls: list[tuple[str, dict[str, Any]]]

    @property
    def title(self) -> str:
        return f"{self.package} {version(self.package)}"


@dataclass(frozen=True, slots=True)
class Visit:
    """One session as the tees recorded it."""

    session_id: str
    era: str
    relayed: int
    relayed_bytes: int


def real_server() -> RealServer:
    """`mcp-server-git` on this repository; where git or its history is missing, `mcp-server-time`."""
    probe = ["git", "-C", str(ROOT), "rev-parse", "--verify", "HEAD"]
    if shutil.which("git") and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
        here = {"repo_path": str(ROOT)}
        calls: list[tuple[str, dict[str, Any]]] = [
            ("git_status", here),
            ("git_log", here | {"max_count": 5}),
            ("git_branch", here | {"branch_type": "local"}),
            ("git_show", here | {"revision": "HEAD"}),
            ("git_show", here | {"revision": "no-such-revision"}),
        ]
        command = [str(BIN / "mcp-server-git"), "--repository", str(ROOT)]
        return RealServer("git", "mcp-server-git", command, calls)
    say("No git history here: using mcp-server-time instead of mcp-server-git.")
    calls = [
        ("get_current_time", {"timezone": "Europe/Rome"}),
        ("convert_time", {"source_timezone": "Asia/Tokyo", "time": "09:30", "target_timezone": "America/Lima"}),
        ("get_current_time", {"timezone": "Nowhere/At_All"}),
    ]
    return RealServer("time", "mcp-server-time", [str(BIN / "mcp-server-time")], calls)


class DemoClient:
    """A laptop: `km-client` with a configuration, a journal and an agent of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {"KM_CONFIG_DIR": str(directory / "config"), "KM_DATA_DIR": str(directory / "data")}

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.km_client("agent", "stop")

    def init(self, api_key: str, api_url: str) -> None:
        done = self.km_client("init", "--api-key", api_key, "--api-url", api_url)
        if done.returncode:
            raise DemoError(f"`km-client init` failed: {done.stdout}{done.stderr}")
        say("km-client has its key.")

    def visit(self, server: RealServer, era: str, *options: str) -> Visit:
        """One session of the SDK's client with `server`, with these options of `monitor`; what was relayed."""
        session_id = str(uuid.uuid4())
        outside, inside = self.directory / f"outside-{era}", self.directory / f"inside-{era}"
        tee = [sys.executable, str(ROOT / "scripts" / "recording_tee.py")]
        monitor = [
            str(BIN / "km-client"),
            "monitor",
            "--server-name",
            server.name,
            "--session-id",
            session_id,
            *options,
        ]
        command = [*tee, str(outside), "--", *monitor, "--", *tee, str(inside), "--", *server.command]
        parameters = StdioServerParameters(command=command[0], args=command[1:], env=self.environment)
        with (self.directory / f"stderr-{era}.log").open("w") as log:
            failures = anyio.run(_converse, stdio_client(parameters, errlog=log), era, server.calls)
        if failures != 1:
            raise DemoError(f"one call of the {era} session was to fail, but {failures} did")
        made = Visit(session_id, era, *_count(outside, inside))
        say(f"The official client talked to {server.title} ({era}): {made.relayed} messages.")
        return made

    def km_client(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command of this laptop, run to its end; the caller looks at its exit code."""
        return subprocess.run(
            [BIN / "km-client", *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )


async def _converse(transport: Transport, era: str, calls: list[tuple[str, dict[str, Any]]]) -> int:
    """List the tools and make every call; how many calls failed."""
    failures = 0
    with anyio.fail_after(VISIT_SECONDS):
        async with Client(transport, mode=era) as client:
            await client.list_tools()
            for name, arguments in calls:
                try:
                    failures += bool((await client.call_tool(name, arguments)).is_error)
                except MCPError:
                    failures += 1
    return failures


def _count(outside: Path, inside: Path) -> tuple[int, int]:
    """Messages and bytes relayed. Raises `DemoError` when the two sides of the relay differ in any byte."""
    messages = size = 0
    for stream in ("to_server", "from_server"):
        data = (inside / stream).read_bytes()
        if data != (outside / stream).read_bytes():
            raise DemoError(f"the two sides of the relay differ: compare {outside / stream} and {inside / stream}")
        messages += sum(1 for line in data.split(b"\n") if line)
        size += len(data)
    if not messages:
        raise DemoError("nothing was relayed")
    return messages, size
