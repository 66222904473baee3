"""Real databases for tests that one in memory cannot stand for: a SQLite file, and a PostgreSQL server of our own.

An in-memory SQLite has neither a write lock to wait for nor a file to survive a crash; PostgreSQL has many writers.

Both are copies of one that was migrated once for the run (`tests.prepared`): that migrations bring an empty database up
to date is proved where a service starts on one, in tests/kmcloud/test_serve.py and tests/end_to_end/test_production_….
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import environ
import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from tests import prepared

MANAGE = Path(__file__).resolve().parent.parent.parent / "manage.py"
SQLITE_NAME = "kilometers.sqlite3"  # as in a service's data directory
START_TIMEOUT_SECONDS = "30"
ROLE = "service"  # an ordinary one, who owns the tables; `km` is the superuser
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
    """Settings of a new SQLite file with the options of the service's own."""
    copy_sqlite(directory)
    service = settings.DATABASES["default"]
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(directory / SQLITE_NAME),
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
    copy_postgres(directory, programs)
    with _running(directory, programs, stop="immediate"):
        yield environ.Env.db_url_config(_url(directory)) | {"ENGINE": "core.postgresql", "HOST": str(directory)}


def copy_postgres(directory: Path, programs: Path) -> None:
    """A new cluster, `data`, in a directory; whoever connects is trusted to be who they say."""
    made = prepared.once("postgresql", lambda template: _make_postgres(template, programs))
    subprocess.run(["cp", "-a", str(made / "data"), str(directory)], check=True)


def copy_sqlite(directory: Path) -> None:
    """A new database in a data directory that has none."""
    made = prepared.once("sqlite", _migrate)
    if not (directory / SQLITE_NAME).exists():
        shutil.copyfile(made / SQLITE_NAME, directory / SQLITE_NAME)


def _make_postgres(template: Path, programs: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="km-db-") as name:  # not below pytest's: it runs as another user
        directory = Path(name)
        options = ("--username", "km", "--auth", "trust", "--no-sync")
        with _running(directory, programs, *options, stop="fast"):
            with psycopg.connect(_url(directory), autocommit=True) as connection:
                connection.execute(f"CREATE ROLE {ROLE} LOGIN".encode())
                connection.execute(f"GRANT ALL ON SCHEMA public TO {ROLE}".encode())
            _migrate(template, KM_DATABASE_URL=_url(directory, ROLE))
        subprocess.run(["cp", "-a", str(directory / "data"), str(template)], check=True)


def _url(directory: Path, role: str = "km") -> str:
    return f"postgres://{role}@/postgres?host={directory}"


@contextmanager
def _running(directory: Path, programs: Path, *initdb: str, stop: str) -> Iterator[None]:
    """The cluster of that directory, which is made first if options of `initdb` are given."""
    who = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(directory, "postgres", "postgres")
        who = ["runuser", "-u", "postgres", "--"]

    def run(program: str, *arguments: str) -> None:
        command = [*who, str(programs / program), "--pgdata", str(directory / "data"), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=directory)

    if initdb:
        run("initdb", *initdb)
    waiting = ("--silent", "--wait", "-t", START_TIMEOUT_SECONDS)
    run("pg_ctl", *waiting, "--options", _options(directory), "--log", str(directory / "log"), "start")
    try:
        yield
    finally:
        run("pg_ctl", *waiting, "--mode", stop, "stop")


def _options(directory: Path) -> str:
    """`fsync` is for a machine that loses power, which no test's does: what a killed process wrote is the kernel's."""
    return f"-c listen_addresses='' -c unix_socket_directories='{directory}' -c fsync=off"


def _migrate(data_dir: Path, **variables: str) -> None:
    """Bring the database of a service with this data directory up to date, as its operator would."""
    environment = {**os.environ, "KM_DATA_DIR": str(data_dir), **variables}
    command = [sys.executable, str(MANAGE), "migrate", "--verbosity", "0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"`migrate` failed: {done.stdout}{done.stderr}"


@contextmanager
def in_use(database: dict[str, Any], *, migrate: bool = True) -> Iterator[None]:
    """Have Django's default database be `database`, for every thread; migrated, unless it is to be as it is."""
    before = connections.settings["default"]
    mine = connections["default"]
    connections.settings["default"] = {**before, **database, "TEST": before["TEST"]}
    del connections["default"]
    try:
        if migrate:
            call_command("migrate", verbosity=0)
        yield
    finally:
        connections["default"].close()
        connections.settings["default"] = before
        connections["default"] = mine
