"""A PostgreSQL and a Redis of a test's own, that can be killed, stopped and started again at the same address.

database, broker = PostgreSQL(), Redis(directory)
database.start(); database.kill(); database.start(); database.destroy()
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.end_to_end.waiting import eventually
from tests.events.databases import START_TIMEOUT_SECONDS, postgres_programs

CONNECTIONS = 100


def are_installed() -> bool:
    """Whether both servers can be run here."""
    return postgres_programs() is not None and shutil.which("redis-server") is not None


def free_port() -> int:
    """A port nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgreSQL:
    """One cluster, reached over the loopback, whose commits are synced as an installed one's are."""

    def __init__(self) -> None:
        programs = postgres_programs()
        assert programs is not None
        self.programs = programs
        self.port = free_port()
        self.url = f"postgres://km@127.0.0.1:{self.port}/postgres"
        # Not below pytest's directory, which is for one user only: as root, PostgreSQL has to run as another.
        self._owned = tempfile.TemporaryDirectory(prefix="km-db-", ignore_cleanup_errors=True)
        self.directory = Path(self._owned.name)
        self._data = self.directory / "data"
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        self._run("initdb", "--username", "km", "--auth", "trust", "--no-sync")

    def run(self, program: str, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs, as its user."""
        who = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*who, str(self.programs / program), *arguments]
        return subprocess.run(command, cwd=self.directory, check=True, text=True, **more)

    def _run(self, program: str, *arguments: str) -> None:
        self.run(program, "--pgdata", str(self._data), *arguments, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Start it, after a crash too, and wait until it answers."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='{self.directory}'"
            f" -c max_connections={CONNECTIONS}"
        )
        log = str(self.directory / "log")
        self._run("pg_ctl", "--wait", "-t", START_TIMEOUT_SECONDS, "--options", options, "--log", log, "start")

    def stop(self) -> None:
        """Stop it at once; what is committed is on disk."""
        if self.pid() is not None:
            self._run("pg_ctl", "--mode", "immediate", "--wait", "stop")

    def destroy(self) -> None:
        """Stop it and delete its data."""
        self.stop()
        self._owned.cleanup()

    def pid(self) -> int | None:
        """The process number of the one that started the others, while it runs."""
        path = self._data / "postmaster.pid"
        number = int(path.read_text().split()[0]) if path.exists() else 0
        return number if number and psutil.pid_exists(number) else None

    def kill(self) -> None:
        """`kill -9` of every process of it, at once."""
        pid = self.pid()
        assert pid is not None
        main = psutil.Process(pid)
        main.suspend()  # so that it starts nobody whom the next line does not see
        group = [main, *main.children(recursive=True)]
        for process in group:
            process.kill()
        psutil.wait_procs(group, timeout=10)
        (self._data / "postmaster.pid").unlink()  # of a process that is gone: its number may be another's by now

    def ask(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows, read over a connection of one's own."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query.encode(), parameters or None).fetchall()


class Redis:
    """One server that keeps nothing on disk: what is lost with it are wake-ups and counters."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (self._directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._directory)
        eventually(self._answers, what="Redis listens")

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self.kill()

    def freeze(self) -> None:
        """Accept connections and answer nothing, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
