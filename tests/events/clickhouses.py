"""A ClickHouse for tests: the engine in a process of its own that can be killed, and the service told to use it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.test import override_settings

from core.clock import now
from events import stores
from tests.events.databases import KINDS, POSTGRESQL, SQLITE, real_database
from tests.fakes import clickhouse_server

PASSWORD = "pässword/of:km"  # an address must spell it in another way
QUOTED = "p%C3%A4ssword%2Fof%3Akm"
ON_SQLITE, ON_POSTGRESQL = "ClickHouse, keys in SQLite", "ClickHouse, keys in PostgreSQL"
DATABASE_OF = {ON_SQLITE: SQLITE, ON_POSTGRESQL: POSTGRESQL}
STORES = [*KINDS, *(pytest.param(kind, marks=pytest.mark.servers) for kind in DATABASE_OF)]
"""What a fixture that stands on `real_store` is parametrized by."""


@dataclass
class ClickHouse:
    """The server of what is in `directory`."""

    directory: Path
    port: int = 0
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{clickhouse_server.USER}:{QUOTED}@127.0.0.1:{self.port}/{clickhouse_server.DATABASE}"

    def start(self) -> None:
        """Serve, at the same address as before."""
        command = [sys.executable, clickhouse_server.__file__, str(self.directory), PASSWORD, str(self.port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        assert process.stdout is not None
        self.port = int(process.stdout.readline())

    def kill(self) -> None:
        """kill -9."""
        for process in self.processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        self.processes.clear()


@contextmanager
def clickhouse() -> Iterator[ClickHouse]:
    """A new one, in use."""
    with tempfile.TemporaryDirectory(prefix="km-ch-") as directory:
        server = ClickHouse(Path(directory))
        server.start()
        try:
            with override_settings(EVENT_STORE="clickhouse", CLICKHOUSE_URL=server.url):
                stores.current().prepare(now=now())
                yield server
        finally:
            server.kill()


@contextmanager
def real_store(kind: str) -> Iterator[None]:
    """A new store of this kind, in use, and a database beside it where it needs one."""
    with real_database(DATABASE_OF.get(kind, kind)):
        if kind not in DATABASE_OF:
            yield
            return
        with clickhouse():
            yield
