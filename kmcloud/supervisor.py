"""Keeps processes running: starts them, starts a dead one again after a growing pause, stops them in order.

    supervisor = Supervisor([Program("web", […]), Program("worker", […])], is_ready=…, on_ready=…)
    supervisor.run()      → 0 after SIGTERM or SIGINT, with no process left; 1 when a program never came up

What to do next is decided by pure functions over `Child` and a moment; the class below carries it out. Children share
this process group and end with this process, however it ends (`kmcloud.parent`).
"""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0  # a child that ran this long failed for a new reason: the pauses start anew
STOP_SECONDS = 9.5  # for all programs together to finish what they do; what is killed then loses nothing
ATTEMPTS_TO_COME_UP = 5  # then it is not bad luck, and its output says why
LOOK_EVERY_SECONDS = 0.1  # for readiness, while starting

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. The command should end with this process by itself: see `kmcloud.parent`.

    `environment` is this process's own unless given. Programs of a later `stage` are asked to stop only when those of
    the earlier ones have ended: what brings work first, what does it last.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] | None = None
    stage: int = 0


@dataclass(frozen=True, slots=True)
class Child:
    """What is known of one program's process. Moments are of the monotonic clock, in seconds."""

    program: Program
    started_at: float = 0.0
    failures: int = 0  # in a row
    restart_at: float | None = 0.0  # None while it runs


def started(child: Child, *, at: float) -> Child:
    """Its process runs since `at`."""
    return replace(child, started_at=at, restart_at=None)


def ended(child: Child, *, at: float) -> Child:
    """Its process ended at `at`, unasked: pause before the next, twice as long for each failure in a row."""
    failures = 1 if at - child.started_at >= STEADY_SECONDS else child.failures + 1
    pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (failures - 1))
    return replace(child, failures=failures, restart_at=at + pause)


def is_due(child: Child, *, at: float) -> bool:
    """Whether its process is to be started now."""
    return child.restart_at is not None and at >= child.restart_at


class Supervisor:
    """Runs programs until told to stop. `is_ready` is asked until it says yes; then `on_ready` is called, once."""

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        is_ready: Callable[[], bool],
        on_ready: Callable[[], None],
        stop_seconds: float | None = None,
    ) -> None:
        self._children = {program.name: Child(program) for program in programs}
        assert len(self._children) == len(programs), "two programs have one name"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._is_ready = is_ready
        self._on_ready = on_ready
        self._ready = False
        self._stop_seconds = STOP_SECONDS if stop_seconds is None else stop_seconds

    def pid(self, name: str) -> int:
        """The process number of the program called `name`, which runs."""
        return self._processes[name].pid

    def pids(self) -> dict[str, int]:
        """The process numbers of all programs that run, by name."""
        return {name: process.pid for name, process in self._processes.items()}

    def run(self) -> int:
        """Until SIGTERM or SIGINT. Returns the exit code."""
        with _signals() as arrived:
            try:
                while not arrived(self._patience()) & {signal.SIGTERM, signal.SIGINT}:
                    self._reap()
                    if not self._ready and self._gave_up():
                        return 1
                    self._start_due()
                    self._announce()
                return 0
            finally:
                self._stop()

    def _patience(self) -> float | None:
        """How long nothing needs doing, unless a signal arrives; `None` for ever."""
        if not self._ready:
            return LOOK_EVERY_SECONDS
        due = [child.restart_at for child in self._children.values() if child.restart_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _start_due(self) -> None:
        for name, child in self._children.items():
            if is_due(child, at=time.monotonic()):
                # Children say what they have to say on stderr: stdout holds what this program promises to print.
                self._processes[name] = subprocess.Popen(
                    child.program.command,
                    env=child.program.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=sys.stderr.fileno(),
                )
                self._children[name] = started(child, at=time.monotonic())

    def _reap(self) -> None:
        for name, process in list(self._processes.items()):
            code = process.poll()
            if code is not None:
                del self._processes[name]
                child = self._children[name] = ended(self._children[name], at=time.monotonic())
                pause = (child.restart_at or 0.0) - time.monotonic()
                _log.error("process_ended", name=name, code=code, failures=child.failures, again_in_s=round(pause, 1))

    def _gave_up(self) -> bool:
        return any(child.failures >= ATTEMPTS_TO_COME_UP for child in self._children.values())

    def _announce(self) -> None:
        if not self._ready and len(self._processes) == len(self._children) and self._is_ready():
            self._ready = True
            self._on_ready()

    def _stop(self) -> None:
        deadline = time.monotonic() + self._stop_seconds
        stages = {child.program.stage for child in self._children.values()}
        for stage in sorted(stages):
            names = [name for name in self._processes if self._children[name].program.stage == stage]
            _stop_together({name: self._processes.pop(name) for name in names}, deadline)


def _stop_together(processes: Mapping[str, subprocess.Popen[bytes]], deadline: float) -> None:
    for process in processes.values():
        process.terminate()
    for name in _still_running(processes, deadline):
        _log.error("process_killed", name=name, effect="what it had begun is done again by its successor")
        processes[name].kill()
        processes[name].wait()


def _still_running(processes: Mapping[str, subprocess.Popen[bytes]], deadline: float) -> Iterable[str]:
    for name, process in processes.items():
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            yield name


@contextmanager
def _signals() -> Iterator[Callable[[float | None], set[int]]]:
    """Signals as something to wait for: `arrived(seconds)` are those that came, at once when there are any."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    handlers = {number: signal.signal(number, lambda *_: None) for number in numbers}
    descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

    def arrived(seconds: float | None) -> set[int]:
        ready, _, _ = select.select([reader], [], [], seconds)
        return set(reader.recv(4096)) if ready else set()

    try:
        yield arrived
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()
