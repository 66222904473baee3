"""Servers as found in the wild, under `km-client monitor`: the client sees exactly what it would see without it."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.laptop import Laptop
from tests.end_to_end.raw_client import RawClient
from tests.end_to_end.waiting import eventually

SERVERS = Path(__file__).resolve().parent.parent / "mcp_servers"


def misbehaving(mode: str, *arguments: str) -> list[str]:
    return [sys.executable, str(SERVERS / "misbehaving_server.py"), mode, *arguments]


def relay(laptop: Laptop, *server: str) -> RawClient:
    """The server under the relay; what it records stays on the laptop."""
    command = laptop.monitor_command(*server, session_id="misbehaving", options=("--local-only",))
    return RawClient(command, laptop.alone)


def below(client: RawClient) -> list[psutil.Process]:
    """Every process that the relay started."""
    return psutil.Process(client.process.pid).children(recursive=True)


def assert_gone(processes: list[psutil.Process]) -> None:
    """None of them runs a moment later; a zombie that nobody has collected yet does not run."""
    eventually(lambda: not any(map(_runs, processes)), within=2, what=f"{processes} are gone")


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_garbage_between_messages_reaches_the_client_unchanged(laptop: Laptop) -> None:
    with RawClient(misbehaving("garbage"), {}) as direct:
        direct.initialize("2025-11-25")
        assert direct.finish() == 0
    with relay(laptop, *misbehaving("garbage")) as client:
        client.initialize("2025-11-25")
        assert client.finish() == 0
    assert client.received == direct.received
    assert client.received.endswith(b"the end, without a newline")


def test_a_server_that_exits_7_ends_the_relay_with_7_while_stdin_is_open(laptop: Laptop) -> None:
    with relay(laptop, *misbehaving("exits-seven")) as client:
        assert client.wait() == 7


def test_a_server_killed_by_a_signal_ends_the_relay_with_128_and_its_number(laptop: Laptop) -> None:
    with relay(laptop, sys.executable, str(SERVERS / "echo_server.py")) as client:
        client.initialize("2025-11-25")
        (server,) = [child for child in below(client) if child.cmdline()[1:2] == [str(SERVERS / "echo_server.py")]]
        server.send_signal(signal.SIGSEGV)
        assert client.wait() == 128 + signal.SIGSEGV


def test_a_server_that_ignores_the_end_of_stdin_is_ended_within_its_grace(laptop: Laptop) -> None:
    with relay(laptop, *misbehaving("ignores-eof")) as client:
        client.initialize("2025-11-25")
        started_by_it = below(client)
        started = time.monotonic()
        assert client.finish(within=15) == 128 + signal.SIGKILL
        assert 3.5 < time.monotonic() - started < 10  # 2 s for the end of stdin, 2 s for SIGTERM, then SIGKILL
        assert_gone(started_by_it)


def test_a_child_that_a_server_left_behind_is_not_an_orphan(laptop: Laptop, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with relay(laptop, *misbehaving("forks", str(pid_file))) as client:
        client.initialize("2025-11-25")
        client.finish(within=15)
    pid = int(pid_file.read_text())
    assert_gone([psutil.Process(pid)] if psutil.pid_exists(pid) else [])


def test_a_flood_on_stderr_neither_blocks_the_stream_nor_is_lost(laptop: Laptop) -> None:
    with relay(laptop, *misbehaving("floods-stderr")) as client:
        client.initialize("2025-11-25")
        assert client.finish() == 0
    assert client.errors.count(b"debug: xxx") == 4096


def test_a_command_that_does_not_exist_says_so_and_exits_127(laptop: Laptop) -> None:
    with relay(laptop, "no-such-mcp-server") as client:
        assert client.wait() == 127
    assert b"no-such-mcp-server" in client.errors
    assert not client.received


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_to_the_relay_ends_the_server_too(name: str, laptop: Laptop) -> None:
    with relay(laptop, sys.executable, str(SERVERS / "echo_server.py")) as client:
        client.initialize("2025-11-25")
        started_by_it = below(client)
        client.process.send_signal(getattr(signal, name))
        client.wait()
        assert_gone(started_by_it)
