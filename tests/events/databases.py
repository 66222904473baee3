"""Real databases for tests that one in memory cannot stand for: a SQLite file, and a PostgreSQL server of our own.

An in-memory SQLite has neither a write lock to wait for nor a file to survive a crash; PostgreSQL has many writers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import environ
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections

START_TIMEOUT_SECONDS = "30"
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
KINDS = [SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.servers)]
"""What a fixture that stands on `real_database` is parametrized by."""


@contextmanager
def real_database(kind: str) -> Iterator[None]:
    """Have Django's default database be a new one of this kind. Skips the test where PostgreSQL is not installed."""
    with tempfile.TemporaryDirectory(prefix="km-db-") as name:
        directory = Path(name)
        if kind == SQLITE:
            with in_use(sqlite_in(directory)):
                yield
            return
        programs = postgres_programs()
        if programs is None:
            pytest.skip("PostgreSQL is not installed")
        with postgres_in(directory, programs) as server, in_use(server):
            yield


def sqlite_in(directory: Path) -> dict[str, Any]:
    """Settings of a SQLite file with the options of the service's own."""
    service = settings.DATABASES["default"]
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(directory / "km.sqlite3"),
        "OPTIONS": service["OPTIONS"],
    }


def postgres_programs() -> Path | None:
    """Where the newest PostgreSQL server's programs are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return Path(on_path).parent if on_path else None


@contextmanager
def postgres_in(directory: Path, programs: Path) -> Iterator[dict[str, Any]]:
    """Settings of a new PostgreSQL cluster in `directory`, reached by a socket there, gone afterwards."""
    data, who = directory / "data", []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(directory, "postgres", "postgres")
        who = ["runuser", "-u", "postgres", "--"]
    control = [*who, str(programs / "pg_ctl"), "--pgdata", str(data), "--silent", "--wait", "-t", START_TIMEOUT_SECONDS]
    initdb = [*who, str(programs / "initdb"), "--pgdata", str(data), "--username", "km", "--auth", "trust", "--no-sync"]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=directory)
    options = f"-c listen_addresses='' -c unix_socket_directories='{directory}'"
    start = [*control, "--options", options, "--log", str(directory / "log"), "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, cwd=directory)
    try:
        yield environ.Env.db_url_config(f"postgres://km@/postgres?host={directory}") | {
            "ENGINE": "core.postgresql",
            "HOST": str(directory),
        }
    finally:
        subprocess.run([*control, "--mode", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL, cwd=directory)


@contextmanager
def in_use(database: dict[str, Any]) -> Iterator[None]:
    """Have Django's default database be `database`, migrated, for every thread."""
    before = connections.settings["default"]
    mine = connections["default"]
    connections.settings["default"] = {**before, **database, "TEST": before["TEST"]}
    del connections["default"]
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        connections["default"].close()
        connections.settings["default"] = before
        connections["default"] = mine
