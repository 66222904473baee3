"""A service as production has it: PostgreSQL, Redis and S3 below, web, beat and a worker for each role above.

    production.start_worker("builds")
    production.tasks()      → {"builds": {"registry.build_payload": 2}, …}: what each worker has done so far

Every process has a data directory of its own and is told the secrets of its role. Only those that sign are told where
the keys are.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import redis
import requests
from celery import Celery
from django.conf import settings

from core.clock import now
from events.models import Heartbeat
from kmcloud.roles import environment_of
from tests.end_to_end.waiting import eventually
from tests.plugins_registry.production.servers import BUCKET, REGION, Aws, RedisUrls

ROOT = Path(__file__).resolve().parents[3]
HOST = "registry.example"
SIGNS = ("web", "signing")
QUEUES = ("maintenance", "signing", "builds")
PASSPHRASE = "correct horse battery staple"
_STOP_SECONDS = 20


@dataclass
class Production:
    """`database` is a URL; `celery` sends to the workers' broker."""

    directory: Path
    database: str
    redis: RedisUrls
    aws: Aws
    processes: dict[str, psutil.Popen] = field(default_factory=dict)
    url: str = ""
    _begun: dict[str, tuple[int, datetime]] = field(default_factory=dict)  # where in its log, and when

    def __post_init__(self) -> None:
        self.celery = Celery("tests", broker=self.redis.broker, set_as_current=False)

    @property
    def keys(self) -> Path:
        """Where the key files are, for those who are told."""
        return self.directory / "keys"

    def data(self, name: str) -> Path:
        """The data directory of the process called `name`."""
        return self.directory / name

    def environment(self, name: str) -> dict[str, str]:
        """All that the process called `name` is told."""
        ours = {each: value for each, value in os.environ.items() if not each.startswith(("KM_", "AWS_", "DJANGO_"))}
        keys = {"KM_SIGNER_DIR": str(self.keys)} if name in SIGNS else {}
        secrets = {
            "KM_SECRET_KEY": "a key for the sessions of people, which is long enough for that",
            "KM_API_KEY_PEPPER": settings.API_KEY_PEPPER.decode(),
            "KM_SIGNING_KEY_PASSPHRASE": settings.SIGNING_KEY_PASSPHRASE.decode(),
            "KM_SIGNER_PASSPHRASE": PASSPHRASE,
            "KM_SEALING_KEY": "a key for what is sealed in the database, long enough for that",
        }
        return environment_of(name, {**ours, **self.aws.environment, **self._common(name), **keys, **secrets})

    def _common(self, name: str) -> dict[str, str]:
        return {
            "KM_PRODUCTION": "true",
            "KM_DATA_DIR": str(self.data(name)),
            "KM_DATABASE_URL": self.database,
            "KM_REDIS_URL": self.redis.cache,
            "KM_BROKER_URL": self.redis.broker,
            "KM_PUBLIC_URL": f"https://{HOST}",
            "KM_ALLOWED_HOSTS": HOST,
            "KM_REGISTRY_S3_BUCKET": BUCKET,
            "KM_REGISTRY_S3_REGION": REGION,
            "KM_LOG_LEVEL": "DEBUG",  # a line for each task that begins, and one when it has ended
        }

    def start(self, name: str, *command: str) -> psutil.Popen:
        """Run `manage.py` so, as the process called `name`."""
        self.data(name).mkdir(exist_ok=True)
        with (self.directory / f"{name}.log").open("a") as log:
            self._begun[name] = log.tell(), now()
            self.processes[name] = psutil.Popen(
                [sys.executable, "manage.py", *command],
                cwd=ROOT,
                env=self.environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self.processes[name]

    def start_web(self) -> None:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.start("web", "run_web", "--port", str(port))

    def start_worker(self, role: str) -> psutil.Popen:
        """A worker of one role, whose queue is called so too."""
        return self.start(role, "run_worker", "--role", role)

    def wait_until_ready(self, *names: str) -> None:
        """Until the web answers, and each of these queues has its worker."""
        eventually(self._answers, within=60.0, what="the web answers")
        for name in names:
            eventually(partial(self.works, name), within=60.0, what=f"a worker of {name} that answers")

    def works(self, name: str) -> bool:
        """Whether the process called so that was started last has a heartbeat."""
        return Heartbeat.objects.filter(name=name, at__gt=self._begun[name][1]).exists()

    def _answers(self) -> bool:
        try:
            return self.get("/readyz").status_code == 200
        except requests.ConnectionError:
            return False

    def get(self, path: str, key: str = "") -> requests.Response:
        return self.ask("GET", path, key)

    def ask(self, method: str, path: str, key: str = "", **content: Any) -> requests.Response:
        """As the proxy in front passes it on."""
        headers = {"Host": HOST, "Authorization": f"Bearer {key}"} | content.pop("headers", {})
        return requests.request(method, self.url + path, headers=headers, timeout=30, **content)

    def send(self, task: str, *arguments: int, queue: str) -> None:
        """Wake a worker."""
        self.celery.send_task(task, arguments, queue=queue, ignore_result=True)

    def tasks(self, event: str = "task") -> dict[str, Counter[str]]:
        """How often each worker, since its start, has ended which task; or begun it, by the event `task_begins`."""
        return {name: Counter(line["task"] for line in self._lines(name) if line["event"] == event) for name in QUEUES}

    def settled(self) -> bool:
        """Whether nothing waits for a worker, and none works."""
        with closing(redis.Redis.from_url(self.redis.cache)) as client:
            waiting = sum(client.llen(queue) for queue in QUEUES) + client.hlen("unacked")
        return not waiting and self.tasks("task_begins") == self.tasks()

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        """What it has logged; a library's warnings are no JSON."""
        with (self.directory / f"{name}.log").open() as log:
            log.seek(self._begun[name][0])
            for line in log:
                with suppress(json.JSONDecodeError):
                    yield json.loads(line)

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()

    def stop(self) -> None:
        """Ask all to end; one that does not is killed, and that is a failure."""
        for process in self.processes.values():
            if process.is_running():
                process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(list(self.processes.values()), timeout=_STOP_SECONDS)
        for survivor in alive:
            survivor.kill()
        psutil.wait_procs(alive)
        self.celery.close()
        assert not alive, f"these do not end: {alive}"
