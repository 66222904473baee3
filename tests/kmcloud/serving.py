"""A real `manage.py serve` in a directory of its own, for tests that kill parts of it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.commands import Operator
from tests.events.databases import copy_sqlite

ROOT = Path(__file__).resolve().parent.parent.parent
MANAGE = [sys.executable, str(ROOT / "manage.py")]
STOP_TIMEOUT_SECONDS = 30


@dataclass
class Serving:
    """The running service."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]
    directory: Path
    environment: dict[str, str]
    operator: Operator

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.ready["url"].removeprefix("http://").rsplit(":", 1)
        return host, int(port)

    def processes(self) -> list[psutil.Process]:
        """Every process of it."""
        main = psutil.Process(self.process.pid)
        return [main, *main.children(recursive=True)]

    def child(self, name: str) -> psutil.Process:
        """The process that runs `manage.py run_<name>` now."""
        return next(iter(self._running(name)))

    def runs(self, name: str) -> bool:
        """Whether there is such a process: for a moment after its death there is none."""
        return bool(self._running(name))

    def _running(self, name: str) -> list[psutil.Process]:
        return [each for each in psutil.Process(self.process.pid).children() if f"run_{name}" in _command(each)]

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of its database, read beside it."""
        path = self.directory / "kilometers.sqlite3"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def manage(self, *arguments: str) -> str:
        """Run a management command in its directory."""
        return self.operator.run(arguments)[0]

    def make_key(self, tier: str = "enterprise") -> str:
        """An API key of a new customer."""
        arguments = ["create_customer", "--name", "Acme", "--tier", tier, "--email", "ann@acme.example", "--json"]
        return str(json.loads(self.manage(*arguments))["api_key"])


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # a zombie too: killed, and not yet waited for
        return []


@contextmanager
def serving(directory: Path, *, migrated: bool = True, **settings: str) -> Iterator[Serving]:
    """Start it, at first on a database that is `migrated` already or on none, and wait until it is ready.

    Whatever the test leaves of it is killed afterwards.
    """
    if migrated:
        copy_sqlite(directory)
    environment = {**os.environ, "KM_DATA_DIR": str(directory), "KM_LOG_LEVEL": "WARNING", **settings}
    with (directory / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            [*MANAGE, "serve", "--port", "0", "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (directory / "stderr").read_text()
        yield Serving(process, json.loads(line), directory, environment, Operator(environment))
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()  # its children end with it
            process.wait()
    assert process.stdout is not None
    process.stdout.close()
