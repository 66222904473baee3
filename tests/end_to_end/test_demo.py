"""`scripts/demo` as a newcomer runs it: it ends with what was relayed, stored and lost, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
from pathlib import Path

import requests

from tests.end_to_end.service import end_group
from tests.end_to_end.waiting import eventually
from tests.events.databases import copy_sqlite

ROOT = Path(__file__).resolve().parent.parent.parent
DEMO_SECONDS = 120.0
URL = re.compile(r"Look +(http://\S+)")


def test_once_ends_with_as_many_events_stored_as_relayed(tmp_path: Path) -> None:
    with socket.socket() as taken:  # somebody else has the port: the demo says so and takes another
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            ["bash", "scripts/demo", "--once", "--json", "--port", str(taken.getsockname()[1])],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=DEMO_SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is taken" in done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["ok"] is True and result["events_lost"] == 0
    assert result["events_stored"] == result["events_relayed"] > 20
    assert result["server"].startswith("mcp-server-")
    assert not list(tmp_path.iterdir()), "its data is removed"


def test_a_step_that_fails_is_named_and_the_demo_exits_with_1(tmp_path: Path) -> None:
    file = tmp_path / "a-file"
    file.touch()
    done = subprocess.run(
        ["bash", "scripts/demo", "--once", "--json", "--data-dir", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["ok"] is False and str(file) in result["error"]


def test_without_once_it_stays_up_until_ctrl_c_and_leaves_no_process(tmp_path: Path) -> None:
    service = tmp_path / "kept" / "service"
    service.mkdir(parents=True)
    copy_sqlite(service)  # as a demo before it left it
    demo = subprocess.Popen(
        ["bash", "scripts/demo", "--port", "0", "--data-dir", str(tmp_path / "kept")],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    printed: list[str] = []
    reader = threading.Thread(target=lambda: printed.extend(demo.stdout or ()), daemon=True)
    try:
        assert demo.stdout is not None
        reader.start()
        address = eventually(lambda: URL.search("".join(printed)), within=DEMO_SECONDS, what="the address is printed")
        assert requests.get(address.group(1), timeout=10).status_code == 200
        assert "Log in" in "".join(printed)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
    finally:
        end_group(demo)
    assert (service / "kilometers.sqlite3").exists()
