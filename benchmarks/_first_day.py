"""A laptop on its first day: an empty home, one MCP client with one real server, and a real service to log in to.

    with FirstDay(directory, service, account) as day:
        day.log_in()                         `km-client login`, its code confirmed on the page
        day.run("wrap", "cursor")            any command of km-client, in that home
        day.call()                           as the client would: starts what the file says, and calls one tool
        day.is_shown()                       whether the call is on the dashboard

Everything is real: the commands, the page, the MCP server, the official SDK's client.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import anyio
from mcp import Client, StdioServerParameters

from tests.end_to_end.laptop import Laptop
from tests.end_to_end.logging_in import Login, Person
from tests.end_to_end.service import Account, Service

TOOL = "get_current_time"
SERVER = Path(sys.executable).with_name("mcp-server-time")
CONFIG = """{
  // what Cursor starts
  "mcpServers": {
    "time": { "command": "COMMAND", "args": ["--local-timezone", "Europe/Rome"] }
  }
}
"""
SEEN_SECONDS = 60.0
POLL_SECONDS = 0.02


class FirstDay:
    def __init__(self, directory: Path, service: Service, account: Account) -> None:
        self._service = service
        self.home = directory / "home"
        self._laptop = laptop = Laptop(directory)
        laptop.config_dir = self.home / ".config" / "kilometers"
        laptop.data_dir = self.home / ".local" / "share" / "kilometers"
        laptop.environment |= {"KM_CONFIG_DIR": str(laptop.config_dir), "KM_DATA_DIR": str(laptop.data_dir)}
        self.config = self.home / ".cursor" / "mcp.json"
        self.config.parent.mkdir(parents=True)
        self.config.write_text(CONFIG.replace("COMMAND", str(SERVER)))
        programs = os.pathsep.join([str(SERVER.parent), "/usr/bin", "/bin"])
        self.environment = self._laptop.environment | {"HOME": str(self.home), "PATH": programs}
        self.person = Person(service.url, account)

    def log_in(self, *flags: str) -> tuple[str, str]:
        """What the command said on stderr and on stdout."""
        login = Login(self.environment, self._service.url, *flags)
        self.person.decide(login.code, "allow")
        code, out, err = login.end()
        assert code == 0, err
        return login.said + err, out

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command of km-client to its end, in the home."""
        command = [str(SERVER.with_name("km-client")), *words]
        environment = {**os.environ, **self.environment}
        return subprocess.run(
            command, env=environment, cwd=self.home, capture_output=True, text=True, timeout=60, check=False
        )

    def call(self) -> None:
        """One call of one tool, by what the configuration says now."""
        entry = json.loads("".join(line for line in self.config.open() if "//" not in line))["mcpServers"]["time"]
        # As SDKs do: of the environment only a few variables reach a server; here also where this laptop's files are.
        server = StdioServerParameters(command=entry["command"], args=entry["args"], env=self.environment)

        async def ask() -> None:
            async with Client(server, read_timeout_seconds=60) as client:
                answer = await client.call_tool(TOOL, {"timezone": "Europe/Rome"})
                assert not answer.is_error, answer

        anyio.run(ask)

    def is_shown(self) -> bool:
        """Whether the page of events has the call."""
        return TOOL in self.person.get("/app/events")

    def wait_until_shown(self) -> None:
        deadline = time.monotonic() + SEEN_SECONDS
        while not self.is_shown():
            assert time.monotonic() < deadline, f"the call is not on the dashboard: {self.run('status').stdout}"
            time.sleep(POLL_SECONDS)

    def __enter__(self) -> FirstDay:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._laptop.shut_down()
