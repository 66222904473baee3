"""What every peer of the service has in common: processes on a port of this machine, and a SQLite file to look into."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import psutil

from benchmarks._peer_environment import PeerError

START_SECONDS = 120.0
POLL_SECONDS = 0.1


class PeerService:
    """A peer says how it is run and what its requests are; this starts it, kills it and reads its store.

    `commands` all run at once; `query` is what gives the ids it has stored.
    """

    name = ""
    version = ""
    way = ""  # what was done, for whoever reads the result
    events_each = 1
    query = ""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.database = directory / "db.sqlite3"
        self.environment: Mapping[str, str] = dict(os.environ)
        self.path = "/"
        self.headers: Mapping[str, str] = {}
        self._running: list[subprocess.Popen[bytes]] = []

    def commands(self) -> Sequence[Sequence[str]]:
        """What to start."""
        raise NotImplementedError

    def request(self, count: int) -> tuple[list[str], bytes]:
        """A body of `count` new messages, and their ids."""
        raise NotImplementedError

    def start(self) -> None:
        """Returns when it listens. Raises `PeerError`."""
        with (self.directory / "log").open("ab") as log:
            for command in self.commands():
                self._running.append(
                    subprocess.Popen(
                        list(command), cwd=self.directory, env=dict(self.environment), stdout=log, stderr=log
                    )
                )
        deadline = time.monotonic() + START_SECONDS
        while not listens(self.port):
            if time.monotonic() > deadline or any(process.poll() is not None for process in self._running):
                said = (self.directory / "log").read_text(errors="replace").strip().splitlines()
                raise PeerError(f"does not start: {said[-1] if said else 'it says nothing'}")
            time.sleep(POLL_SECONDS)

    def kill_9(self) -> None:
        """Every process of it, at once."""
        mains = [psutil.Process(process.pid) for process in self._running if process.poll() is None]
        group = [each for main in mains for each in (main, *main.children(recursive=True))]
        for process in group:
            process.kill()
        psutil.wait_procs(group, timeout=10)
        for started in self._running:
            started.wait()
        self._running = []

    def stored_ids(self) -> set[str]:
        """What is in its database now."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)) as connection:
            return {str(row[0]) for row in connection.execute(self.query)}


def run(command: Sequence[str], directory: Path) -> str:
    """Run one of a peer's own commands to its end. Raises `PeerError` with its last line."""
    done = subprocess.run(list(command), cwd=directory, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise PeerError(f"`{' '.join(command[1:])}` failed: {said[-1] if said else done.returncode}")
    return done.stdout


def free_port() -> int:
    """A port nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
