"""A service as production has it: PostgreSQL, Redis and S3 below, a web process and a worker a queue above.

    production.start("builds", "run_worker", "--queues", "builds")
    production.tasks()      → {"builds": {"registry.build_payload": 2}, …}: what each worker has done so far

Every process has a data directory and settings of its own. Only those that sign are told where the keys are.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import redis
import requests
from celery import Celery
from django.conf import settings

from tests.end_to_end.waiting import eventually
from tests.plugins_registry.production.servers import BUCKET, REGION, Aws, RedisUrls

ROOT = Path(__file__).resolve().parents[3]
HOST = "registry.example"
SIGNS = ("web", "signing")
QUEUES = ("maintenance", "signing", "builds")
PASSPHRASE = "correct horse battery staple"
_STOP_SECONDS = 20
_ANSWER_SECONDS = 2.0


@dataclass
class Production:
    """`database` is a URL; `celery` sends to the workers' broker."""

    directory: Path
    database: str
    redis: RedisUrls
    aws: Aws
    processes: dict[str, psutil.Popen] = field(default_factory=dict)
    url: str = ""

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
        return {**ours, **self.aws.environment, **self._common(name), **(self._signer() if name in SIGNS else {})}

    def _common(self, name: str) -> dict[str, str]:
        is_trusted = name != "builds"  # what it has no use for is text of its own
        return {
            "KM_PRODUCTION": "true",
            "KM_DATA_DIR": str(self.data(name)),
            "KM_DATABASE_URL": self.database,
            "KM_REDIS_URL": self.redis.cache,
            "KM_BROKER_URL": self.redis.broker,
            "KM_PUBLIC_URL": f"https://{HOST}",
            "KM_ALLOWED_HOSTS": HOST,
            "KM_SECRET_KEY": f"a key for nothing in the process {name}, which is long enough for that",
            "KM_API_KEY_PEPPER": settings.API_KEY_PEPPER.decode() if is_trusted else "-" * 64,
            "KM_SIGNING_KEY_PASSPHRASE": settings.SIGNING_KEY_PASSPHRASE.decode() if is_trusted else "-" * 64,
            "KM_REGISTRY_S3_BUCKET": BUCKET,
            "KM_REGISTRY_S3_REGION": REGION,
            "KM_LOG_LEVEL": "INFO",
        }

    def _signer(self) -> dict[str, str]:
        return {"KM_SIGNER_DIR": str(self.keys), "KM_SIGNER_PASSPHRASE": PASSPHRASE}

    def start(self, name: str, *command: str) -> psutil.Popen:
        """Run `manage.py` so, as the process called `name`."""
        self.data(name).mkdir(exist_ok=True)
        with (self.directory / f"{name}.log").open("a") as log:
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

    def start_worker(self, queue: str) -> psutil.Popen:
        """A worker of one queue."""
        return self.start(queue, "run_worker", "--queues", queue)

    def wait_until_ready(self, *names: str) -> None:
        """Until the web answers, and each of these queues has its worker."""
        eventually(self._answers, within=60.0, what="the web answers")
        for name in names:
            eventually(partial(self.works, name), within=60.0, what=f"a worker of {name} that answers")

    def works(self, name: str) -> bool:
        return name in self.tasks()

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

    def tasks(self) -> dict[str, Counter[str]]:
        """How often each worker, by the name of its queue, has taken up which task."""
        told, alive = self._asked("stats"), self._alive()
        return {
            name: Counter(stats["total"])
            for stats in told.values()
            for name, pid in alive.items()
            if stats["pid"] == pid
        }

    def settled(self) -> bool:
        """Whether nothing waits for a worker, and none works."""
        with closing(redis.Redis.from_url(self.redis.cache)) as client:
            waiting = sum(client.llen(queue) for queue in QUEUES)
        active = self._asked("active")
        return not waiting and len(active) == len(self._alive()) and not any(active.values())

    def _asked(self, question: str) -> dict[str, Any]:
        """What the workers answer, those that do in time."""
        inspect = self.celery.control.inspect(timeout=_ANSWER_SECONDS, limit=len(self._alive()))
        return getattr(inspect, question)() or {}

    def _alive(self) -> dict[str, int]:
        return {name: each.pid for name, each in self.processes.items() if name in QUEUES and each.is_running()}

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
