"""A real Kilometers service for tests: `manage.py serve` on SQLite in a directory of its own, on a free port.

service = Service(tmp_path); service.start(); account = service.create_customer(); service.stored(session_id)
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.commands import Operator
from tests.end_to_end.waiting import eventually
from tests.events.databases import copy_sqlite

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0  # migrations on a busy machine with two cores
STOP_SECONDS = 30.0
READY = re.compile(r"Kilometers is ready at (http://\S+)")


@dataclass(frozen=True, slots=True)
class Account:
    """A customer as `manage.py create_customer --json` prints it."""

    public_id: str
    key_id: str
    api_key: str
    email: str
    password: str


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One row of the events table."""

    id: str
    sequence: int
    direction: str
    type: str
    method: str
    message: str
    is_base64: int  # as SQLite has it: 0 or 1


class Service:
    """One `manage.py serve` and the database beneath it. `port` 0 takes a free one and keeps it across restarts."""

    def __init__(self, data_dir: Path, *, port: int = 0, settings: dict[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self.port = port
        self.url = ""
        self.output: list[str] = []
        self._settings = settings or {}
        self._process: subprocess.Popen[str] | None = None
        self._operator: Operator | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "KM_DATA_DIR": str(self.data_dir), **self._settings}

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def start(self) -> Service:
        """Start it, at first on a database that is migrated already, and wait until it says that it is ready."""
        copy_sqlite(self.data_dir)
        log = (self.data_dir / "serve.log").open("a")
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(self.port)],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        log.close()
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, args=(self._process, lines), daemon=True).start()
        self.url = eventually(lambda: self._ready(lines), within=START_SECONDS, what="`serve` says it is ready")
        self.port = int(self.url.rsplit(":", 1)[1].rstrip("/"))
        return self

    def _read(self, process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.output.append(line)
            lines.put(line)

    def _ready(self, lines: queue.Queue[str]) -> str:
        assert self._process is not None
        assert self._process.poll() is None, f"`serve` ended: {''.join(self.output)}{self.log()}"
        with contextlib.suppress(queue.Empty):
            match = READY.search(lines.get_nowait())
            return match.group(1).rstrip("/") if match else ""
        return ""

    def log(self) -> str:
        return (self.data_dir / "serve.log").read_text()

    def stop(self) -> int:
        """Ask it to stop; the exit code. Whatever is left of its session is killed, and that is a failure."""
        assert self._process is not None
        process, self._process = self._process, None
        group = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        process.terminate()
        try:
            code = process.wait(STOP_SECONDS)
        finally:
            _, alive = psutil.wait_procs(group, timeout=5)
            for survivor in alive:
                survivor.kill()
            if process.stdout is not None:
                process.stdout.close()
        assert not alive, f"`serve` left {alive} behind"
        return code

    def kill(self) -> None:
        """`kill -9` of every process at once: a power cut."""
        assert self._process is not None
        group = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(recursive=True)]
        for process in group:
            process.kill()
        psutil.wait_procs(group, timeout=10)
        self._process.wait(10)
        self._process = None

    def children(self, word: str) -> list[psutil.Process]:
        """The processes beneath `serve` whose command holds `word` (`run_web`, `run_worker`)."""
        found = []
        for process in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if word in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def manage(self, *arguments: str, **variables: str) -> str:
        """Run a management command against this service's database; its stdout."""
        return self.manage_in_turn(arguments, **variables)[0]

    def manage_in_turn(self, *commands: Sequence[str], **variables: str) -> list[str]:
        """Run several, one after the other, in one process; what each printed."""
        if self._operator is None or self._operator.environment != self.environment:
            self._operator = Operator(self.environment)
        return self._operator.run(*commands, **variables)

    def create_customer(self, name: str = "Example", tier: str = "pro") -> Account:
        email = f"{uuid.uuid4().hex}@example.com"
        made = json.loads(self.manage("create_customer", "--name", name, "--tier", tier, "--email", email, "--json"))
        return Account(made["customer"], made["key_id"], made["api_key"], made["login"], made["password"])

    def revoke_key(self, account: Account) -> None:
        self.manage("revoke_key", account.key_id, "--reason", "a test")

    def expire_key(self, account: Account) -> None:
        """Set the key's end to a moment that has passed, as time would."""
        path = self.data_dir / "kilometers.sqlite3"
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as database, database:
            changed = database.execute(
                "UPDATE customers_apikey SET expires_at = '2025-01-01 00:00:00' WHERE public_id = ?", (account.key_id,)
            )
        assert changed.rowcount == 1

    def issue_key(self, account: Account) -> Account:
        """The same customer with one more key."""
        made = json.loads(self.manage("issue_key", "--customer", account.public_id, "--name", "second", "--json"))
        return replace(account, key_id=made["key_id"], api_key=made["api_key"])

    def get(self, path: str, account: Account) -> Any:
        """The JSON that an API path answers to this customer's key."""
        answer = requests.get(self.url + path, headers={"Authorization": f"Bearer {account.api_key}"}, timeout=10)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def is_ready(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        return False

    def stored(self, session_id: str) -> list[StoredEvent]:
        """Every stored event of a session, in its order, read from the database file itself."""
        query = (
            "SELECT id, sequence, direction, type, method, message, is_base64 FROM events_event"
            " WHERE session_id = ? ORDER BY sequence, id"
        )
        path = self.data_dir / "kilometers.sqlite3"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
            return [StoredEvent(*row) for row in database.execute(query, (session_id,))]

    def wait_until_stored(self, session_id: str, count: int, *, within: float = 60.0) -> list[StoredEvent]:
        """The session's events, once there are `count` of them; more at that moment is the caller's to find."""
        what = f"{count} events of session {session_id} are stored"
        eventually(lambda: len(self.stored(session_id)) >= count, within=within, what=what)
        return self.stored(session_id)


def end_group(process: subprocess.Popen[Any]) -> None:
    """Kill a process that a test started in a session of its own, and everything in its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
