"""A RabbitMQ node for tests: on loopback, with a directory, a cookie, ports and a port mapper of its own.

with rabbitmq() as node:
    node.url; node.kill(); node.start(); node.freeze(); node.thaw()
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from amqp import Connection
from amqp.exceptions import AMQPError

from events.logs.line import address_of
from tests.end_to_end.waiting import eventually

START_SECONDS = 90.0  # Erlang takes 6 on an idle machine
DEBIAN = Path("/usr/lib/rabbitmq/bin")  # the programs themselves; those on its PATH become another user first


def programs() -> Path | None:
    """Where RabbitMQ's programs are."""
    if (DEBIAN / "rabbitmq-server").exists():
        return DEBIAN
    found = shutil.which("rabbitmq-server")
    return Path(found).parent if found and shutil.which("epmd") else None


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@dataclass
class Node:
    """One node; what it confirmed is in `directory`."""

    directory: Path
    port: int = 0
    _environment: dict[str, str] = field(default_factory=dict)
    _mapper: subprocess.Popen[bytes] | None = None
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.port, distribution, mapper = _free_ports(3)
        home = str(self.directory)
        (self.directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.file.level = warning\n"
        )
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG") if name in os.environ},
            "HOME": home,  # and so the cookie
            "RABBITMQ_NODENAME": f"km{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution),
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": f"{home}/mnesia",
            "RABBITMQ_LOG_BASE": f"{home}/log",
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/plugins",
            "RABBITMQ_PID_FILE": f"{home}/pid",
            "RABBITMQ_CONF_ENV_FILE": os.devnull,  # not that of an installed service
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none",
        }

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start it, after a crash too, and wait until it takes connections."""
        if self._mapper is None:  # our own, in the foreground: one that the node starts would outlive it
            self._mapper = self._popen("epmd", "-port", self._environment["ERL_EPMD_PORT"])
            eventually(lambda: _listens(int(self._environment["ERL_EPMD_PORT"])), what="epmd listens")
        directory = programs()
        assert directory is not None
        self._process = self._popen(str(directory / "rabbitmq-server"))
        eventually(self._answers, within=START_SECONDS, what="RabbitMQ takes connections")

    def kill(self) -> None:
        """`kill -9` of every process of it, at once."""
        assert self._process is not None
        group = self._freeze()
        for process in group:
            process.kill()
        self._process.wait(10)
        psutil.wait_procs(group, timeout=10)
        self._process = None

    def freeze(self) -> None:
        """Accept connections and answer nothing, until `thaw`."""
        self._freeze()

    def thaw(self) -> None:
        for process in self._freeze():
            process.send_signal(signal.SIGCONT)

    def destroy(self) -> None:
        """End it and its port mapper."""
        if self._process is not None:
            self.kill()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait(10)

    def control(self, *arguments: str) -> None:
        """Run `rabbitmqctl`."""
        directory = programs()
        assert directory is not None
        subprocess.run(
            [str(directory / "rabbitmqctl"), *arguments],
            env=self._environment,
            cwd=self.directory,
            check=True,
            capture_output=True,
            timeout=60,
        )

    def _popen(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.directory / "output").open("ab") as log:
            return subprocess.Popen(
                command, env=self._environment, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _freeze(self) -> list[psutil.Process]:
        assert self._process is not None
        main = psutil.Process(self._process.pid)
        main.suspend()
        group = [main, *main.children(recursive=True)]
        for process in group[1:]:
            process.suspend()
        return group

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "output").read_text()
        try:
            with Connection(**address_of(self.url), connect_timeout=1.0):
                return True
        except (OSError, AMQPError):
            return False


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def rabbitmq() -> Iterator[Node]:
    """A running node, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="km-mq-", ignore_cleanup_errors=True) as name:
        node = Node(Path(name))
        try:
            node.start()
            yield node
        finally:
            node.destroy()
