"""A PostgreSQL and a Redis of a test's own, to be killed, frozen, filled up and started again at the same address.

    database, broker = PostgreSQL(), Redis(directory)
    database.start(); database.kill(); database.start(); database.destroy()

The service is an ordinary role of the database; `ask` is its superuser, whom no limit and no test locks out.
"""

from __future__ import annotations

import contextlib
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
from tests.events.databases import ROLE, START_TIMEOUT_SECONDS, copy_postgres, postgres_programs

CONNECTIONS = 100
DISK_MEGABYTES = 512  # of memory, and only what is used of it


def are_installed() -> bool:
    """Whether both servers can be run here."""
    return postgres_programs() is not None and shutil.which("redis-server") is not None


def free_port() -> int:
    """A port nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgreSQL:
    """One cluster, reached over the loopback, whose commits are synced as an installed one's are. With `small_disk` its
    disk is a small one of its own, in memory, where that may be mounted. It is empty, or `migrated` already."""

    def __init__(self, *, small_disk: bool = False, migrated: bool = False) -> None:
        programs = postgres_programs()
        assert programs is not None
        self.programs = programs
        self.port = free_port()
        self.url = f"postgres://{ROLE}@127.0.0.1:{self.port}/postgres"
        self.superuser_url = f"postgres://km@127.0.0.1:{self.port}/postgres"
        # Not below pytest's directory, which is for one user only: as root, PostgreSQL has to run as another.
        self._owned = tempfile.TemporaryDirectory(prefix="km-db-", ignore_cleanup_errors=True)
        self.directory = Path(self._owned.name)
        self._data = self.directory / "data"
        self.has_own_disk = small_disk and _mount(self.directory)
        self._ballast = self.directory / "ballast"
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        if migrated:
            copy_postgres(self.directory, programs)
        else:
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
            f" -c max_connections={CONNECTIONS} -c max_wal_size=128MB"
        )
        log = str(self.directory / "log")
        self._run("pg_ctl", "--wait", "-t", START_TIMEOUT_SECONDS, "--options", options, "--log", log, "start")
        if not self.ask("SELECT FROM pg_roles WHERE rolname = %s", ROLE):
            self.tell(f"CREATE ROLE {ROLE} LOGIN", f"GRANT ALL ON SCHEMA public TO {ROLE}")

    def stop(self) -> None:
        """Stop it at once; what is committed is on disk."""
        if self.pid() is not None:
            self._run("pg_ctl", "--mode", "immediate", "--wait", "stop")

    def destroy(self) -> None:
        """Stop it and delete its data."""
        self.stop()
        if self.has_own_disk:
            subprocess.run(["umount", "--lazy", str(self.directory)], check=True)
        self._owned.cleanup()

    def pid(self) -> int | None:
        """The process number of the one that started the others, while it runs."""
        path = self._data / "postmaster.pid"
        number = int(path.read_text().split()[0]) if path.exists() else 0
        return number if number and psutil.pid_exists(number) else None

    def kill(self) -> None:
        """`kill -9` of every process of it, at once."""
        group = self.freeze()
        for process in group:
            process.kill()
        psutil.wait_procs(group, timeout=10)
        (self._data / "postmaster.pid").unlink()  # of a process that is gone: its number may be another's by now

    def freeze(self) -> list[psutil.Process]:
        """Have it take connections and statements, and answer nothing, until `thaw`; its processes."""
        pid = self.pid()
        assert pid is not None
        main = psutil.Process(pid)
        main.suspend()  # first, so that it starts nobody whom the next line does not see
        group = [main, *main.children(recursive=True)]
        for process in group[1:]:
            process.suspend()
        return group

    def thaw(self) -> None:
        """Have it go on."""
        for process in reversed(self.freeze()):
            process.resume()

    def fill_disk(self) -> None:
        """Leave it no byte to write."""
        assert self.has_own_disk
        with self._ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(2**16))

    def free_disk(self) -> None:
        """Give back what `fill_disk` took."""
        self._ballast.unlink()

    def ask(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows, read over a connection of one's own."""
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            return connection.execute(query.encode(), parameters or None).fetchall()

    def tell(self, *statements: str) -> None:
        """Execute `statements`, each in a transaction of its own."""
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def set(self, **settings: str) -> None:
        """Change settings of the running server; a blank one is the default again."""
        self.tell(
            *(
                f"ALTER SYSTEM SET {name} = '{value}'" if value else f"ALTER SYSTEM RESET {name}"
                for name, value in settings.items()
            ),
            "SELECT pg_reload_conf()",
        )

    def end_connections(self, role: str = ROLE) -> int:
        """End all of `role`; how many there were."""
        query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = %s"
        return int(self.ask(query, role)[0][0])


def _mount(directory: Path) -> bool:
    """Whether `directory` is a small file system of its own now."""
    size = f"size={DISK_MEGABYTES}m,mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        return False
    shutil.chown(directory, "postgres", "postgres")
    return True


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
