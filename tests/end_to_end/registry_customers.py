"""A customer of the registry with a laptop: what is installed there, how it stands, and sessions over real servers.

pro = Customer(service, account, Laptop(tmp_path / "pro"))
pro.refuses("plugins", "refresh")     → what the command said when it would not
with pro.session(server) as client: client.call_tool(…); pro.until("slow-tools", "running")
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.end_to_end.laptop import Laptop
from tests.end_to_end.raw_client import RawClient
from tests.end_to_end.service import Account
from tests.end_to_end.waiting import eventually

WITHIN = 60.0
_CLOCK = """
import ctypes, datetime, gc, time

_time, _now, _ahead = time.time, datetime.datetime.now, datetime.timedelta(seconds={seconds})
time.time = lambda: _time() + _ahead.total_seconds()
# The type is C's and cannot be replaced, since annotations name it; its one method can.
gc.get_referents(datetime.datetime.__dict__)[0]["now"] = staticmethod(lambda tz=None: _now(tz) + _ahead)
ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))
"""


class Customer:
    """One organisation, one machine."""

    def __init__(self, account: Account, laptop: Laptop) -> None:
        self.account, self.laptop = account, laptop
        self.id = account.public_id

    def installed(self) -> dict[str, str]:
        """The state of each plugin that is installed from the registry."""
        rows = self._listed()["installed"]
        return {str(row["name"]): str(row["standing"]["state"]) for row in rows}

    def quarantined(self) -> list[tuple[str, str]]:
        return [(str(row["name"]), str(row["code"])) for row in self._listed()["quarantined"]]

    def plugin(self, name: str) -> dict[str, Any]:
        """How a plugin stands with the agent; empty while it knows of none."""
        rows: list[dict[str, Any]] = self._listed()["plugins"]
        return next((row for row in rows if row["name"] == name), {})

    def until(self, name: str, *states: str, also: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
        """The plugin's row, once it is in one of these states and `also` holds of it."""

        def holds() -> dict[str, Any]:
            row = self.plugin(name)
            return row if row and row["state"] in states and also(row) else {}

        return eventually(holds, within=WITHIN, what=f"{name} is {states}")

    def does(self, *arguments: str) -> str:
        """What a command said that worked."""
        done = self.laptop.km(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def refuses(self, *arguments: str, code: int = 1) -> str:
        """What a command said that did not work, ended with this exit code, and named the next step."""
        done = self.laptop.km(*arguments)
        assert done.returncode == code, f"{arguments}: {done.returncode} {done.stdout}{done.stderr}"
        assert "hint:" in done.stdout + done.stderr
        return done.stdout + done.stderr

    @contextmanager
    def session(self, server: list[str]) -> Iterator[RawClient]:
        """A session with an MCP server under `monitor`, from its handshake to an orderly end."""
        command = self.laptop.monitor_command(*server, session_id=uuid.uuid4().hex)
        with RawClient(command, self.laptop.environment) as client:
            assert client.initialize("2025-06-18")["result"]["serverInfo"]
            yield client
            assert client.finish() == 0

    @contextmanager
    def at_another_time(self, seconds: float, directory: Path) -> Iterator[None]:
        """This laptop's commands with a clock that is ahead, or behind."""
        directory.mkdir()
        # Every program of this Python reads it first.
        (directory / "sitecustomize.py").write_text(_CLOCK.format(seconds=seconds))
        before = self.laptop.environment
        self.laptop.environment = before | {"PYTHONPATH": str(directory)}
        try:
            yield
        finally:
            self.laptop.environment = before

    def files(self, pattern: str) -> list[Path]:
        """What lies below the laptop's data directory."""
        return sorted(self.laptop.data_dir.glob(pattern))

    def _listed(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.does("plugins", "list", "--json"))
        return found


def call(client: RawClient) -> None:
    """One call of mcp-server-time, which is answered."""
    answer = client.call_tool("get_current_time", {"timezone": "Europe/Paris"})
    assert not answer["result"].get("isError"), answer
