"""`monitor --debug-replay FILE`: a script in the client's place, in front of a real server, recorded as any session."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.client.conftest import StartMonitor, data_dir, monitor
from tests.client.monitored import KM_CLIENT, Monitored

__all__ = ["data_dir", "monitor"]

SERVERS = Path(__file__).resolve().parents[2] / "mcp_servers"
ECHO = [sys.executable, str(SERVERS / "echo_server.py")]
SCRIPT = """\
# Initialize MCP connection
{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}

# The server's part of it, which it plays itself
{"jsonrpc":"2.0","id":1,"result":{"capabilities":{}}}
// before the next
DELAY: 300ms
{"jsonrpc":"2.0","method":"notifications/initialized"}
 {"jsonrpc":"2.0", "id":2, "method":"tools/call","params":{"name":"fill","arguments":{"bytes":3000000}}}
{"jsonrpc":"2.0","id":"three","method":"no/such"}
"""


def lines(script: str) -> list[bytes]:
    """What of the script the client says."""
    said = [line.strip() for line in script.splitlines() if line.strip().startswith("{")]
    return [line.encode() + b"\n" for line in said if '"method"' in line]


def started(monitor: StartMonitor, tmp_path: Path, script: str, server: list[str]) -> Monitored:
    file = tmp_path / "script.jsonl"
    file.write_text(script)
    return monitor(server, "--debug-replay", str(file), stdin=subprocess.DEVNULL)


def test_the_server_gets_the_clients_lines_and_every_answer_comes_out(monitor: StartMonitor, tmp_path: Path) -> None:
    running = started(monitor, tmp_path, SCRIPT, ECHO)
    out, err = running.process.communicate(timeout=60)
    direct = subprocess.run(ECHO, input=b"".join(lines(SCRIPT)), capture_output=True, check=True).stdout
    assert out == direct and [json.loads(line)["id"] for line in out.splitlines()] == [1, 2, "three"]
    assert running.process.returncode == 0
    assert b"played 4 messages" in err and b"passed over 1 of the server's" in err
    assert running.recorded("request") == b"".join(lines(SCRIPT))
    assert running.recorded("response") == direct


def test_delays_are_waited_for(monitor: StartMonitor, tmp_path: Path) -> None:
    began = time.monotonic()
    running = started(monitor, tmp_path, SCRIPT.replace("300ms", "2s"), ECHO)
    running.process.communicate(timeout=60)
    assert time.monotonic() - began >= 2
    first, *_ = (each for each in running.session().records({}, over=True, now_ns=0) if each.direction == "request")
    assert first.payload == lines(SCRIPT)[0]


def test_an_answer_that_takes_its_time_is_waited_for_at_the_end(monitor: StartMonitor, tmp_path: Path) -> None:
    waiting = (
        "import sys, threading, time\n"
        "sys.stdin.readline(); time.sleep(0.3)\n"
        'print(\'{"jsonrpc":"2.0","id":1,"result":{"late":true}}\', flush=True)\n'
        "sys.stdin.read()"
    )
    running = started(monitor, tmp_path, '{"jsonrpc":"2.0","id":1,"method":"slow"}\n', [sys.executable, "-c", waiting])
    out, err = running.process.communicate(timeout=60)
    assert json.loads(out)["result"] == {"late": True} and b"not answered" not in err


def test_a_server_that_ends_ends_the_replay_with_its_own_exit_code(monitor: StartMonitor, tmp_path: Path) -> None:
    script = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"exit","arguments":{"code":7}}}\n'
    script += "DELAY: 10m\n" + '{"jsonrpc":"2.0","id":2,"method":"ping"}\n'
    running = started(monitor, tmp_path, script, ECHO)
    running.process.communicate(timeout=60)
    assert running.process.returncode == 7


def test_a_real_server_plays_its_part_of_what_was_downloaded(
    monitor: StartMonitor, tmp_path: Path, pypi_server: dict[str, list[str]]
) -> None:
    info = '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}'
    script = (
        "# Kilometers session 1\n\n# +0.000 client to server\n"
        f'{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{info}}}\n'
        '\n# +0.010 server to client\nDELAY: 10ms\n{"jsonrpc":"2.0","id":0,"result":{}}\n'
        '\n# +0.020 client to server\nDELAY: 10ms\n{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
        '\n# +0.030 client to server\nDELAY: 10ms\n{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n'
    )
    running = started(monitor, tmp_path, script, pypi_server["time"])
    out, _ = running.process.communicate(timeout=60)
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["id"] for answer in answers] == [0, 1]
    assert answers[0]["result"]["serverInfo"] and len(answers[1]["result"]["tools"]) == 2


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("# one\n\n{broken\n", "line 3: this is no JSON"),
        ("DELAY: 500\n", "line 1: `DELAY: 500` is no delay"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_wrong_script_starts_no_server(tmp_path: Path, script: str | None, words: str) -> None:
    file, trace = tmp_path / "script.jsonl", tmp_path / "started"
    if script is not None:
        file.write_text(script)
    command = [KM_CLIENT, "monitor", "--debug-replay", str(file), "--", "touch", str(trace)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode in (1, 2) and words in done.stderr and "hint:" in done.stderr
    assert not trace.exists() and done.stdout == ""


def test_a_server_behind_a_url_is_not_played_to() -> None:
    command = [KM_CLIENT, "monitor", "--debug-replay", "x", "--url", "http://127.0.0.1:9/mcp"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "--debug-replay is for a server that is started by its command" in done.stderr


def test_a_delay_of_centuries_ends_with_the_server(monitor: StartMonitor, tmp_path: Path) -> None:
    running = started(monitor, tmp_path, 'DELAY: 99999999999h\n{"id":1,"method":"ping"}\n', ["true"])
    _, err = running.process.communicate(timeout=60)
    assert running.process.returncode == 0 and b"Traceback" not in err and b"DELAY" not in err
