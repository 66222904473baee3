"""`manage.py serve`: the whole service by one command: web server, worker, beat and sweeper, restarted when they die.

    $ manage.py serve
    Kilometers is ready at http://127.0.0.1:8318
    $ manage.py serve --port 0 --json
    {"url": "http://127.0.0.1:41873", "pid": 4711, "web": 4713, "worker": 4714}
    $ manage.py serve --production --json
    {"url": …, "pid": 4711, "web": …, "ingest": …, "maintenance": …, "signing": …, "builds": …, "beat": …}

`--production` is `KM_PRODUCTION=true`: what it needs and was not given is named, and nothing starts. Brings the
database up to date first. Ctrl-C or SIGTERM stops it within ten seconds (in production thirty), no process left behind.
One at a time in a data directory: a second one is refused.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from kmcloud.programs import embedded, production
from kmcloud.supervisor import Supervisor

READY_TIMEOUT_SECONDS = 2.0
PRODUCTION_STOP_SECONDS = 25.0  # for what its workers have begun; systemd and containers are told to wait 30


class Command(BaseCommand):
    help = "Run the web server and its workers until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine only)")
        parser.add_argument("--port", type=int, default=8318, help="0 takes a free one and prints it")
        parser.add_argument(
            "--production", action="store_true", help="PostgreSQL, Redis, a process for each queue (KM_PRODUCTION=true)"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object when ready")

    def execute(self, *arguments: Any, **options: Any) -> str | None:
        if options["production"] and not settings.PRODUCTION:  # before the checks, which ask for what that needs
            _begin_again(KM_PRODUCTION="true")
        return super().execute(*arguments, **options)

    def handle(self, *_: Any, **options: Any) -> None:
        with ExitStack() as held:
            held.enter_context(_only_one(settings.DATA_DIR))
            port = held.enter_context(_reserved(options["host"], options["port"]))
            settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise complains about a missing one
            call_command("migrate", verbosity=0, interactive=False)
            connections.close_all()
            sys.exit(_run(options["host"], port, as_json=options["json"]))


def _begin_again(**variables: str) -> NoReturn:
    """This process from its first line, with other variables: settings are read once, when they are imported."""
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | variables)  # noqa: S606 - our own command


def _run(host: str, port: int, *, as_json: bool) -> int:
    url = _url(host, port)
    if _is_this_machine(host):  # what letters and pages call this service, unless somebody said otherwise
        os.environ.setdefault("KM_PUBLIC_URL", _url(_reachable(host), port))

    def announce() -> None:
        about = {"url": url, "pid": os.getpid(), **supervisor.pids()}
        line = json.dumps(about) if as_json else f"Kilometers is ready at {url}"
        print(line, flush=True)  # noqa: T201 - the one line this program promises

    supervisor = Supervisor(
        production(host, port) if settings.PRODUCTION else embedded(host, port),
        is_ready=lambda: _answers(host, port),
        on_ready=announce,
        stop_seconds=PRODUCTION_STOP_SECONDS if settings.PRODUCTION else None,
    )
    return supervisor.run()


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _is_this_machine(host: str) -> bool:
    return _reachable(host) in {"127.0.0.1", "localhost", "::1"}


def _answers(host: str, port: int) -> bool:
    """Whether `/readyz` says that events can be stored."""
    connection = http.client.HTTPConnection(_reachable(host), port, timeout=READY_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz", headers={"Host": settings.ALLOWED_HOSTS[0].lstrip(".*") or "localhost"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reachable(host: str) -> str:
    """Where this machine finds a server that listens at `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not listened at


@contextmanager
def _reserved(host: str, port: int) -> Iterator[int]:
    """The port, ours from now on: bound but not listened at, beside which only our own server can bind."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(family, kind) as probe, socket.socket(family, kind) as reservation:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)  # fails when anybody listens there, also somebody who would share
            free = probe.getsockname()[1]
            probe.close()
            reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            reservation.bind((address[0], free))
        except OSError as error:
            raise CommandError(
                f"cannot listen at {host} port {port}: {error.strerror}\nuse another port: `--port 0` takes a free one"
            ) from None
        yield int(free)


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    """Held while this service runs in `directory`."""
    with (directory / "serve.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(
                f"`manage.py serve` already runs in {directory}\nstop it, or set KM_DATA_DIR to another directory"
            ) from None
        yield
