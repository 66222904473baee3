"""Databases of a benchmark's own: a SQLite file as the service uses it, or a PostgreSQL server with `fsync` on.

with database("postgresql", Path(directory)) as url:
    set_up(url, Path(directory))          # Django stands on it, migrated; import the service's rooms after this
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

SQLITE, POSTGRESQL = "sqlite", "postgresql"
START_TIMEOUT_SECONDS = "30"
# A small server's with a disk without heads (docs/operations.md), nothing unsafe.
SETTINGS = "-c shared_buffers=512MB -c work_mem=16MB -c random_page_cost=1.1 -c max_wal_size=4GB -c wal_compression=lz4"


@contextmanager
def database(kind: str, directory: Path) -> Iterator[str]:
    """The address of a new database of `kind`. Raises `SystemExit` where PostgreSQL is not installed."""
    if kind == SQLITE:
        yield f"sqlite:///{directory / 'kilometers.sqlite3'}"
        return
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[4]))
    if not found:
        raise SystemExit("error: PostgreSQL is not installed\nhint: apt-get install postgresql, or --database sqlite")
    place, who = directory / "postgresql", []
    place.mkdir()
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        directory.chmod(0o711)
        shutil.chown(place, "postgres", "postgres")
        who = ["runuser", "-u", "postgres", "--"]
    data = str(place / "data")
    control = [*who, str(found[-1] / "pg_ctl"), "--pgdata", data, "--silent", "--wait", "-t", START_TIMEOUT_SECONDS]
    made = [*who, str(found[-1] / "initdb"), "--pgdata", data, "--username", "km", "--auth", "trust", "-E", "UTF8"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=place)
    options = f"-c listen_addresses='' -c unix_socket_directories='{place}' {SETTINGS}"
    start = [*control, "--options", options, "--log", str(place / "log"), "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, cwd=place)
    try:
        yield f"postgres://km@/postgres?host={place}"
    finally:
        subprocess.run([*control, "--mode", "fast", "stop"], check=True, stdout=subprocess.DEVNULL, cwd=place)


def set_up(url: str, directory: Path) -> None:
    """Have Django stand on the database at `url`, migrated."""
    for name in [name for name in os.environ if name.startswith("KM_")]:
        del os.environ[name]
    os.environ |= {"DJANGO_SETTINGS_MODULE": "kmcloud.settings", "KM_DATA_DIR": str(directory)}
    os.environ |= {"KM_DATABASE_URL": url, "KM_LOG_LEVEL": "ERROR", "KM_ALLOWED_HOSTS": "localhost,testserver"}
    import django  # noqa: PLC0415 - the settings are read when Django is set up
    from django.core.management import call_command  # noqa: PLC0415 - as above

    django.setup()
    call_command("migrate", verbosity=0)


def server_cpu_seconds(directory: Path) -> float:
    """User and system time, so far, of the PostgreSQL server in `directory` and of its children that still run."""
    pid_file = directory / "postgresql" / "data" / "postmaster.pid"
    if not pid_file.exists():
        return 0.0
    main = psutil.Process(int(pid_file.read_text().split()[0]))
    times = [each.cpu_times() for each in (main, *main.children())]
    return sum(time.user + time.system for time in times)


def version() -> str:
    """Of the database in use."""
    from django.db import connection  # noqa: PLC0415 - after `set_up`

    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()" if connection.vendor == SQLITE else "SHOW server_version")
        return f"{connection.display_name} {cursor.fetchone()[0]}"
