"""`agent` starts, shows and ends the background process, and says so when it cannot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from km_client.agent import presence

from tests.client.agent.conftest import Record
from tests.client.commands.conftest import Km
from tests.end_to_end.waiting import eventually

pytestmark = pytest.mark.usefixtures("with_agents")


@pytest.mark.usefixtures("record")
def test_it_starts_shows_and_ends_the_one_agent(km: Km) -> None:
    assert (km("agent", "status").code, km("agent", "status").out) == (3, "No agent runs.\n")
    started = km("agent", "start", "--json")
    assert started.code == 0
    pid = json.loads(started.out)["pid"]
    assert json.loads(km("agent", "start", "--json").out)["pid"] == pid, "a second start finds the first"
    assert km("agent", "status").out == f"The agent runs (process {pid}).\n"
    ended = km("agent", "stop")
    assert (ended.code, ended.out) == (0, f"The agent has ended (process {pid}).\n")
    assert presence.running_pid() is None
    assert km("agent", "stop").code == 0, "ending none is no failure"


def test_an_agent_in_the_foreground_keeps_a_second_one_out(km: Km, record: Record, machine: Path) -> None:
    record()
    command = [sys.executable, "-c", "import sys; from km_client.cli import main; sys.exit(main())", "agent", "run"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        eventually(lambda: presence.running_pid() == running.pid)
        refused = km("agent", "run")
        assert refused.code == 1 and f"process {running.pid}" in refused.err
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=15)
    assert running.returncode == 0
    assert "begins" in said and "ends" in said


def test_an_agent_that_does_not_end_in_time_is_said(km: Km, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = json.loads(km("agent", "start", "--json").out)["pid"]
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr("km_client.commands.agent.STOP_SECONDS", 0.2)
    done = km("agent", "stop")
    assert done.code == 1 and f"kill -9 {pid}" in done.err
    os.kill(pid, signal.SIGCONT)
    eventually(lambda: presence.running_pid() is None)


def test_a_data_directory_that_cannot_be_used_is_said(km: Km, machine: Path) -> None:
    (machine / "data").write_text("a file where a directory should be")
    for verb in ("start", "stop", "status"):
        done = km("agent", verb)
        assert done.code == 1 and "Not a directory" in done.err and "hint:" in done.err
