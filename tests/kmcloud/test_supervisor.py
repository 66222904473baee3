"""What is started when is decided by pure functions; a program that never comes up is given up on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from kmcloud import supervisor
from kmcloud.supervisor import Child, Program, Supervisor, ended, is_due, started
from tests.events.samples import await_that

PYTHON = Program("python", [sys.executable, "-c", "raise SystemExit(3)"])


def test_a_child_that_runs_is_never_due() -> None:
    assert not is_due(started(Child(PYTHON), at=5.0), at=1e9)


def test_pauses_double_up_to_a_limit() -> None:
    child, pauses, at = Child(PYTHON), [], 0.0
    for _ in range(9):
        child = ended(started(child, at=at), at=at)
        assert child.restart_at is not None
        pauses.append(child.restart_at - at)
        at = child.restart_at
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_child_that_ran_long_starts_anew() -> None:
    child = ended(started(Child(PYTHON, failures=6), at=0.0), at=supervisor.STEADY_SECONDS)
    assert (child.failures, child.restart_at) == (1, supervisor.STEADY_SECONDS + supervisor.FIRST_PAUSE_SECONDS)


@pytest.mark.parametrize(("at", "due"), [(10.4, False), (10.5, True)])
def test_it_is_started_again_after_its_pause(at: float, due: bool) -> None:
    assert is_due(ended(started(Child(PYTHON), at=10.0), at=10.0), at=at) is due


def test_a_program_that_never_comes_up_ends_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.001)
    never = Supervisor([PYTHON], is_ready=lambda: False, on_ready=lambda: pytest.fail("it is not ready"))
    assert never.run() == 1


def test_a_signal_stops_it_in_order_and_a_deaf_child_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.5)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); open({!r}, 'w'); time.sleep(600)"
    marks = [str(tmp_path / name) for name in ("one", "two")]
    programs = [Program(mark, [sys.executable, "-c", deaf.format(mark)]) for mark in marks]
    pids: list[int] = []

    def note() -> None:
        pids.extend(both.pid(mark) for mark in marks)
        os.kill(os.getpid(), signal.SIGTERM)

    both = Supervisor(programs, is_ready=lambda: all(map(os.path.exists, marks)), on_ready=note)
    before = signal.getsignal(signal.SIGTERM)
    assert both.run() == 0
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    child = (
        "import os, sys, time; from kmcloud.parent import die_with; die_with(int(sys.argv[1]));"
        "open(sys.argv[2], 'w').write(str(os.getpid())); time.sleep(600)"
    )
    parent = (
        "import os, subprocess, sys;"
        f"subprocess.Popen([sys.executable, '-c', {child!r}, str(os.getpid()), {str(mark)!r}]).wait()"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=Path(__file__).parents[2])
    await_that(lambda: mark.exists() and mark.read_text() != "")
    pid = int(mark.read_text())
    process.kill()
    process.wait()
    await_that(lambda: has_ended(pid))


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_child_whose_parent_is_gone_ends_at_once() -> None:
    code = "from kmcloud.parent import die_with; die_with(1 << 22); print('still here')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")
