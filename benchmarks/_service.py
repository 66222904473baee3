"""The service under measurement, started by the benchmark in a directory of its own, on loopback, and ended with it.

with embedded(directory) as running:            `manage.py serve`: SQLite, `synchronous=FULL`, two processes
with production(directory) as running:          `manage.py serve --production`: PostgreSQL with `fsync` on, Redis
    keys = running.keys(10)                     of new Enterprise customers
    before = running.cpu()
    …
    (running.cpu() - before)                    Counter({"web": 1.2, "postgresql": 0.8, "redis": 0.1, …}), seconds
    running.inbox(); running.stored_ids()
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import psutil
import psycopg
import redis

from tests.end_to_end.production_servers import PostgreSQL
from tests.end_to_end.production_stack import Stack

ROOT = Path(__file__).resolve().parent.parent
DRAIN_TIMEOUT_SECONDS = 180.0
STOP_TIMEOUT_SECONDS = 15.0
POLL_SECONDS = 0.02
METRICS_TOKEN = "a-benchmark's-own-" + "x" * 32
POSTGRESQL_SETTINGS = " -c shared_buffers=512MB -c max_wal_size=4GB -c wal_compression=lz4"  # a small server's
WORKER, WEB, POSTGRESQL, REDIS, OTHERS = "worker", "web", "postgresql", "redis", "others"
MAKE_KEYS = (  # one process for all of them: starting one takes seconds
    "import json; from core.clock import now; from customers import accounts, api_keys\n"
    "made = [accounts.create_customer(f'Benchmark {{n}}', 'enterprise', at=now()) for n in range({count})]\n"
    "print(json.dumps([api_keys.issue(each, 'laptop', at=now()).secret for each in made]))"
)


class Service(Protocol):
    """What a benchmark asks of either."""

    kind: str
    environment: dict[str, str]

    @property
    def address(self) -> tuple[str, int]: ...

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the service's database, read beside it."""

    def cpu(self) -> dict[str, float]:
        """User and system seconds so far by part: `web`, `worker` and, in production, the servers and `others`."""


def keys(service: Service, count: int) -> list[str]:
    """API keys of `count` new customers without a quota."""
    command = [sys.executable, str(ROOT / "manage.py"), "shell", "--verbosity", "0", "--command"]
    command.append(MAKE_KEYS.format(count=count))
    made = subprocess.run(command, env=service.environment, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    found: list[str] = json.loads(made.stdout)
    return found


def url(service: Service) -> str:
    """Where it listens."""
    return "http://{}:{}".format(*service.address)


def await_drained(service: Service) -> None:
    """Until the inbox is empty. Raises `TimeoutError`."""
    deadline = time.monotonic() + DRAIN_TIMEOUT_SECONDS
    while service.ask("SELECT EXISTS (SELECT 1 FROM events_inboxentry)")[0][0]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the inbox was not drained within {DRAIN_TIMEOUT_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def stored_ids(service: Service, where: str = "TRUE") -> list[str]:
    """The id of every stored event, as often as it is stored."""
    return [str(UUID(str(row[0]))) for row in service.ask(f"SELECT id FROM events_event WHERE {where}")]


class Embedded:
    """A running `manage.py serve`."""

    kind = "embedded"

    def __init__(self, directory: Path) -> None:
        own = {"KM_DATA_DIR": str(directory), "KM_LOG_LEVEL": "WARNING"}
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("KM_")} | own
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "serve", "--port", "0", "--json"],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        ready = json.loads(self._process.stdout.readline() or "{}")
        if not ready:
            raise SystemExit("error: `manage.py serve` did not come up; see above")
        host, port = ready["url"].removeprefix("http://").rsplit(":", 1)
        self._address = host, int(port)
        self._parts = {name: psutil.Process(ready[name]) for name in (WEB, WORKER)}
        self._database = directory / "kilometers.sqlite3"

    @property
    def address(self) -> tuple[str, int]:
        return self._address

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(process) for name, process in self._parts.items()}

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(STOP_TIMEOUT_SECONDS)


class Production:
    """A running `manage.py serve --production` with its servers."""

    kind = "production"

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.environment = stack.environment
        self._redis = redis.Redis.from_url(stack.redis.url)
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    @property
    def address(self) -> tuple[str, int]:
        return self.stack.address

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Over one connection: a new one for each question would be much of what PostgreSQL does."""
        if self._connection is None:
            self._connection = psycopg.connect(self.stack.database.superuser_url, autocommit=True)
        return self._connection.execute(query.encode()).fetchall()

    def do(self, statement: str) -> None:
        """Run what returns no rows, and in no transaction."""
        self.ask("SELECT 1")
        assert self._connection is not None
        self._connection.execute(statement.encode())

    def forget_connection(self) -> None:
        """The database is about to go away."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def cpu(self) -> dict[str, float]:
        used = dict.fromkeys((WEB, WORKER, OTHERS), 0.0)
        for process in psutil.Process(self.stack.pid).children():
            used[_part(process)] += cpu_seconds(process)
        server = self.stack.database.pid()
        assert server is not None
        used[POSTGRESQL] = cpu_seconds(psutil.Process(server))
        said = self._redis.info("cpu")
        assert isinstance(said, dict)
        used[REDIS] = said["used_cpu_user"] + said["used_cpu_sys"]
        return used

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Nothing is drained meanwhile: the workers of `ingest` stand still, between two transactions."""
        await_drained(self)
        workers = [process for process in psutil.Process(self.stack.pid).children() if _part(process) == WORKER]
        for worker in workers:
            worker.suspend()
        try:
            yield
        finally:
            for worker in workers:
                worker.resume()

    def kill_9(self) -> None:
        """Every process of the service and of PostgreSQL, at once; then start them again."""
        self.forget_connection()
        group = self.stack.processes()
        for process in group:
            process.kill()
        self.stack.database.kill()
        psutil.wait_procs(group, timeout=10)
        self.stack.database.start()
        self.stack.serve()


class _Database(PostgreSQL):
    """With room for its WAL, which the tests' has not; `fsync` and `synchronous_commit` as they are installed."""

    def run(self, program: str, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        words = list(arguments)
        if "--options" in words:
            words[words.index("--options") + 1] += POSTGRESQL_SETTINGS
        return super().run(program, *words, **more)


class _Stack(Stack):
    """On that database."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, KM_METRICS_TOKEN=METRICS_TOKEN)
        self.database.destroy()
        self.database = _Database()
        self.environment["KM_DATABASE_URL"] = self.database.url


@contextmanager
def embedded(directory: Path) -> Iterator[Embedded]:
    """The service as a laptop runs it."""
    running = Embedded(directory)
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def production(directory: Path) -> Iterator[Production]:
    """The service as a company runs it, with what settings it has for two cores."""
    with _Stack(directory) as stack:
        running = Production(stack)
        try:
            yield running
        finally:
            running.forget_connection()


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time of `process`, of its children, and of those of them that have ended."""
    own = process.cpu_times()
    return sum(own[:4]) + sum(sum(each.cpu_times()[:4]) for each in process.children(recursive=True))


def _part(process: psutil.Process) -> str:
    words = process.cmdline()
    if "run_web" in words:
        return WEB
    return WORKER if "ingest" in words else OTHERS
