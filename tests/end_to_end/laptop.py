"""A customer's laptop for tests: a config and a data directory of its own, and the real `km-client` in it.

laptop.init(account, service.url); laptop.monitor_command("mcp-server-git", session_id="s1") → what an editor runs
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from tests.end_to_end.service import Account
from tests.end_to_end.waiting import eventually

KM_CLIENT = str(Path(sys.executable).with_name("km-client"))
COMMAND_SECONDS = 60.0


class Laptop:
    """`km-client` as one user of one machine has it."""

    def __init__(self, directory: Path) -> None:
        self.config_dir = directory / "config"
        self.data_dir = directory / "data"
        self.submit_key = ""  # of a laptop whose user submits plugins
        self.environment = {
            "KM_CONFIG_DIR": str(self.config_dir),
            "KM_DATA_DIR": str(self.data_dir),
            "KM_AGENT": "",  # as a person has it; `shut_down` ends the agent
        }

    @property
    def alone(self) -> dict[str, str]:
        """For a test of the relay by itself: it starts no agent."""
        return self.environment | {"KM_AGENT": "off"}

    def km(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run one command to its end; the caller looks at its exit code."""
        return subprocess.run(
            [KM_CLIENT, *arguments],
            env={**os.environ, **self.environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def init(self, account: Account, url: str) -> None:
        done = self.km("init", "--api-key", account.api_key, "--api-url", url)
        assert done.returncode == 0, done.stdout + done.stderr

    def configure(self, toml: str) -> None:
        """Begin `config.toml`, as a person with an editor would; before `init`, which adds to it."""
        self.config_dir.mkdir(parents=True, exist_ok=True)
        (self.config_dir / "config.toml").write_text(toml)

    def monitor_command(
        self, *server: str, session_id: str, name: str = "test", options: tuple[str, ...] = ()
    ) -> list[str]:
        """What an editor's configuration would start."""
        return [KM_CLIENT, "monitor", "--server-name", name, "--session-id", session_id, *options, "--", *server]

    def status(self) -> dict[str, Any]:
        done = self.km("status", "--json")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def journals(self) -> list[Path]:
        """The sessions whose bytes are still on this laptop."""
        directory = self.data_dir / "journal"
        return sorted(directory.iterdir()) if directory.is_dir() else []

    def agents(self) -> list[psutil.Process]:
        """The agent processes of this laptop, known by the data directory in their environment."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                words = process.info["cmdline"] or []
                if "km_client.agent" in words and process.environ().get("KM_DATA_DIR") == str(self.data_dir):
                    found.append(process)
        return found

    def wait_until_shipped(self, *, within: float = 60.0) -> None:
        """Until the server has acknowledged everything: an acknowledged session leaves no journal."""
        eventually(lambda: not self.journals(), within=within, what=f"every journal is shipped: {self.data_dir}")

    def shut_down(self) -> None:
        """Stop the agent as a user would; kill it if it does not stop, and say so."""
        alive = self.agents()
        deadline = time.monotonic() + 15
        while alive and time.monotonic() < deadline:
            self.km("agent", "stop")  # one that has only just started is not known as running yet: ask again
            _, alive = psutil.wait_procs(alive, timeout=1)
        for agent in alive:
            agent.kill()
        assert not alive, "`km-client agent stop` did not stop the agent"
