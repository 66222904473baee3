"""A whole production service: PostgreSQL, Redis and `manage.py serve --production`, for tests that kill parts of it.

with Stack(tmp_path) as stack:
    key = stack.make_key(); stack.kill_9("ingest"); stack.database.kill(); stack.database.start()
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from tests.commands import Operator
from tests.end_to_end.production_servers import PostgreSQL, Redis
from tests.end_to_end.waiting import eventually

ROOT = Path(__file__).resolve().parent.parent.parent
MANAGE = [sys.executable, str(ROOT / "manage.py")]
START_SECONDS = 120  # seven processes of Python on a busy machine with two cores
STOP_SECONDS = 30
POOL = {"enterprise": 130, "pro": 2, "free": 2}  # customers for all tests of a stack
SECRETS = (
    *("KM_SECRET_KEY", "KM_API_KEY_PEPPER", "KM_SIGNING_KEY_PASSPHRASE", "KM_SIGNER_PASSPHRASE"),
    "KM_SEALING_KEY",
)


def production_environment(directory: Path, database_url: str, redis_url: str) -> dict[str, str]:
    """What an operator sets. TLS ends at a proxy, which these tests stand for."""
    return {
        **os.environ,
        **{name: f"{name.lower()}-" + "x" * 48 for name in SECRETS},
        "KM_DATA_DIR": str(directory),
        "KM_DATABASE_URL": database_url,
        "KM_REDIS_URL": redis_url,
        "KM_PUBLIC_URL": "https://km.example.org",
        "KM_ALLOWED_HOSTS": "km.example.org,127.0.0.1",
        "KM_LOG_LEVEL": "WARNING",
        "KM_WEB_PROCESSES": "2",
    }


class Stack:
    """The servers and the service, on a database that is `migrated` already or empty. `ready` is what `serve --json`
    printed."""

    def __init__(self, directory: Path, *, small_disk: bool = False, migrated: bool = False, **settings: str) -> None:
        self.directory = directory
        self.database = PostgreSQL(small_disk=small_disk, migrated=migrated)
        self.redis = Redis(directory)
        self.environment = production_environment(directory / "data", self.database.url, self.redis.url) | settings
        self.ready: dict[str, Any] = {}
        self._customers: dict[str, list[dict[str, str]]] = {}
        self._process: subprocess.Popen[str] | None = None
        self._operator: Operator | None = None

    def __enter__(self) -> Self:
        (self.directory / "data").mkdir()
        self.database.start()
        self.redis.start()
        try:
            self.serve()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._process is not None:
                self.stop()
        finally:
            self.redis.stop()
            self.database.destroy()

    def serve(self) -> None:
        """Start the service and wait until it says that it is ready."""
        with self.log_path.open("a") as log:
            self._process = subprocess.Popen(
                [*MANAGE, "serve", "--production", "--port", "0", "--json"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        alarm = threading.Timer(START_SECONDS, self._process.kill)
        alarm.start()
        line = self._process.stdout.readline()
        alarm.cancel()
        assert line, f"`serve --production` did not come up:\n{self.log_path.read_text()}"
        self.ready = json.loads(line)

    @property
    def log_path(self) -> Path:
        return self.directory / "serve.log"

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.ready["url"].removeprefix("http://").rsplit(":", 1)
        return host, int(port)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def processes(self) -> list[psutil.Process]:
        """Every process of the service, the supervisor first."""
        main = psutil.Process(self.pid)
        return [main, *main.children(recursive=True)]

    def program(self, name: str) -> psutil.Process | None:
        """The process that runs as `name` now: `web`, `beat`, or a worker's role."""
        words = {"web": ["run_web"], "beat": ["run_beat"]}.get(name, ["--role", name])
        for process in psutil.Process(self.pid).children():
            command = _command(process)
            if any(command[at : at + len(words)] == words for at in range(len(command))):
                return process
        return None

    def kill_9(self, name: str) -> None:
        """Kill the program `name`, or, for `web's process`, one of those in which granian runs Python."""
        program = name.removesuffix("'s process")
        victim = eventually(lambda: self.program(program), what=f"`{program}` runs")
        if program != name:
            victim = eventually(victim.children, what=f"`{program}` has a process")[0]
        victim.kill()
        eventually(lambda: has_ended(victim), what=f"{name} is dead")

    def stop(self) -> int:
        """SIGTERM; the exit code. Nothing of it is left."""
        assert self._process is not None
        process, self._process = self._process, None
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        finally:
            _, alive = psutil.wait_procs(family, timeout=3)
            for survivor in alive:
                survivor.kill()
            assert process.stdout is not None
            process.stdout.close()
        assert not alive, f"`serve --production` left {alive} behind"
        return code

    def manage(self, *arguments: str) -> str:
        """Run a management command with the service's settings; its output."""
        if self._operator is None or self._operator.environment != self.environment:
            self._operator = Operator(self.environment)
        return self._operator.run(arguments)[0]

    @contextmanager
    def beside(self, role: str, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """One more management command of the service's, in `role` and with `variables` of its own, until the end."""
        environment = self.environment | {"KM_PRODUCTION": "true", "KM_ROLE": role} | variables
        with self.log_path.open("a") as log:
            process = subprocess.Popen(
                [*MANAGE, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            finally:
                process.kill()

    def customer(self, tier: str = "enterprise") -> dict[str, str]:
        """A customer nobody else has: `customer`, `key_id`, `api_key`."""
        if not self._customers:
            self._customers = self._made(POOL)
        return self._customers[tier].pop()

    def _made(self, tiers: Mapping[str, int]) -> dict[str, list[dict[str, str]]]:
        """New customers, so many of each tier; all by one process, for starting one takes seconds."""
        code = (
            "import json; from core.clock import now; from customers import accounts, api_keys\n"
            "made = {}\n"
            f"for tier, count in {dict(tiers)!r}.items():\n"
            "    for number in range(count):\n"
            "        customer = accounts.create_customer(f'{tier} {number}', tier, at=now())\n"
            "        key = api_keys.issue(customer, 'laptop', at=now())\n"
            "        one = {'customer': customer.public_id, 'key_id': key.key.public_id, 'api_key': key.secret}\n"
            "        made.setdefault(tier, []).append(one)\n"
            "print(json.dumps(made))"
        )
        made: dict[str, list[dict[str, str]]] = json.loads(self.manage("shell", "--verbosity", "0", "--command", code))
        return made

    def wait_until_drained_of(self, ids: set[str], *, within: float = 30.0) -> None:
        """Until the events with these ids are stored; others may be on their way."""
        wanted = list(ids)
        query = (
            "SELECT count(*) FROM unnest(%s::uuid[]) AS wanted"
            " WHERE NOT EXISTS (SELECT FROM events_event WHERE id = wanted)"
        )
        eventually(lambda: self.database.ask(query, wanted) == [(0,)], within=within, what="they are stored")

    def wait_until_drained(self, *, within: float = 60.0) -> None:
        query = "SELECT count(*) FROM events_inboxentry"
        eventually(lambda: self.database.ask(query) == [(0,)], within=within, what="the inbox is empty")


def has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
