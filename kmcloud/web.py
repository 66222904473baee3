"""The web server: granian's WSGI server, with one process of Python or several, which `kmcloud.wsgi` runs in.

    serve("127.0.0.1", 8318)      # returns after SIGTERM or SIGINT, when the requests under way are answered

One on SQLite, which has one writer anyway, and threads that wait for its fsync share it (`events.group_commit`).
Several on PostgreSQL: Python's lock lets each process use one core; one that dies is started again beside the others.
`THREADS` was measured: fewer leave the disk idle at single events, more only wait for Python's lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from core.metrics import forget_processes
from kmcloud.parent import die_with

THREADS = 16
CONNECTIONS = 1024  # granian counts an idle kept-alive connection too: with few, some dashboards would lock others out
STOP_SECONDS = 4  # for the requests under way; `kmcloud.supervisor` waits a little longer

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]


def serve(host: str, port: int, *, processes: int = 1) -> None:
    """Serve until told to stop. Exits with 1 if the only process of Python dies, or one dies again and again: whoever
    started us starts us again."""
    forget_processes()
    server = Granian(
        "kmcloud.wsgi:application",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=processes,
        respawn_failed_workers=processes > 1,
        blocking_threads=THREADS,
        backpressure=CONNECTIONS,
        backlog=CONNECTIONS,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.error,
        workers_kill_timeout=STOP_SECONDS,
    )
    server.serve(target_loader=partial(_load, os.getpid()), wrap_loader=False)


def _load(server_pid: int) -> Application:
    """In the worker process: the application, which must not outlive the process that holds the signals."""
    die_with(server_pid)
    from kmcloud.wsgi import application  # noqa: PLC0415 - loaded by the worker, not by the process that watches it

    return application
