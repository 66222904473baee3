"""What `manage.py serve` runs: two processes on a laptop, one for each role in production.

    embedded("127.0.0.1", 8318)    → web, worker
    production("127.0.0.1", 8318)  → web, ingest, maintenance, signing, builds, beat

Each gets the secrets of its role and no other (`kmcloud.roles`), and the number of this process, with which it ends.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence

from django.conf import settings

from kmcloud.roles import BEAT, INGEST, WEB, WORKERS, environment_of
from kmcloud.supervisor import Program

ASKS, WORKS = 0, 1  # the order of a stop: first nothing more comes in, then what is under way is finished


def embedded(host: str, port: int) -> list[Program]:
    """Everything in two processes."""
    return [
        Program("web", _manage("run_web", "--host", host, "--port", str(port)), stage=ASKS),
        Program("worker", _manage("run_worker"), stage=WORKS),
    ]


def production(host: str, port: int) -> list[Program]:
    """A process for each role; `KM_INGEST_WORKERS` of those that drain the inbox."""
    return [
        _program(WEB, "run_web", "--host", host, "--port", str(port), stage=ASKS),
        *(_program(role, "run_worker", "--role", role, name=name) for role, name in _workers()),
        _program(BEAT, "run_beat", stage=ASKS),
    ]


def _workers() -> Iterator[tuple[str, str]]:
    for role in WORKERS:
        for number in range(settings.INGEST_WORKERS if role == INGEST else 1):
            yield role, f"{role}-{number + 1}" if number else role


def _program(role: str, *command: str, name: str = "", stage: int = WORKS) -> Program:
    return Program(name or role, _manage(*command), environment_of(role, os.environ), stage)


def _manage(*command: str) -> Sequence[str]:
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), *command, "--parent", str(os.getpid())]
