"""How a session ends: with the server's own code or signal, at once, in the right order, and with nothing left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from km_client.proxy.relay import _ClientOutput, _Relay
from km_client.proxy.server_process import ServerProcess

from tests.client.capture.recorder import Recorder
from tests.client.conftest import StartMonitor
from tests.client.monitored import KM_CLIENT, Monitored, end, is_alive
from tests.end_to_end.waiting import eventually

SERVERS = str(Path(__file__).with_name("servers.py"))


def server(trait: str, *arguments: str) -> list[str | bytes]:
    return [sys.executable, SERVERS, trait, *arguments]


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_servers_exit_code_is_the_monitors(monitor: StartMonitor, code: int) -> None:
    relay = monitor(["sh", "-c", f"exit {code}"])
    assert relay.wait() == code
    status = relay.session().status()
    assert (status.ended, status.exit_code, status.signal) == (True, code, None)


@pytest.mark.parametrize("name", ["KILL", "TERM", "SEGV"])
def test_a_signal_that_ended_the_server_is_told_as_a_shell_tells_it(monitor: StartMonitor, name: str) -> None:
    relay = monitor(["sh", "-c", f"kill -{name} $$"])
    number = signal.Signals[f"SIG{name}"]
    assert relay.wait() == 128 + number
    assert relay.session().status().signal == number


def test_a_server_that_dies_ends_the_monitor_while_stdin_is_open(monitor: StartMonitor) -> None:
    relay = monitor(["sh", "-c", "read line; exit 7"])
    relay.write(b"go\n")
    assert relay.wait() == 7


def test_other_children_that_end_with_the_server_do_not_hide_its_end(tmp_path: Path) -> None:
    """Two SIGCHLD in one read: the server's, and one of a child that was found dead together with it."""
    arrived, noted = os.pipe()
    stdin, stdout = os.open(os.devnull, os.O_WRONLY), os.open(os.devnull, os.O_RDONLY)
    endings = iter([7, None])
    server_process = ServerProcess(0, stdin, stdout, arrived)
    server_process.ended = lambda: next(endings)  # type: ignore[method-assign]
    recorder = Recorder(tmp_path)
    relay = _Relay(server_process, recorder.recording, _ClientOutput())
    os.write(noted, bytes([signal.SIGCHLD, signal.SIGCHLD]))
    relay._on_signals()
    assert relay._ending == 7
    recorder.die()
    for fd in (arrived, noted, stdin, stdout):
        os.close(fd)


def test_the_last_words_of_a_dead_server_arrive(monitor: StartMonitor) -> None:
    """The server is gone while the client has not read a byte: one pipe full is with the client, one is held by the
    relay, one is still where the server put it."""
    relay = monitor(server("last_words"))
    assert relay.process.stderr
    pid = int(relay.process.stderr.readline())
    eventually(lambda: not is_alive(pid), what="the server has ended")
    assert relay.read(1_000_000) == b"x" * 3 * 65_536
    assert relay.wait() == 0


def test_a_child_that_holds_stdout_delays_nothing_and_is_ended(monitor: StartMonitor) -> None:
    relay = monitor(server("abandons"))
    child = int(relay.read_line())
    started = time.monotonic()
    assert relay.wait() == 3
    assert time.monotonic() - started < 30  # not the minute for which the child holds the pipe
    eventually(lambda: not is_alive(child), what="the child that was left behind has ended")


def test_the_end_of_stdin_reaches_the_server(monitor: StartMonitor) -> None:
    relay = monitor(["sh", "-c", "cat; echo goodbye; exit 4"])
    assert relay.finish(b"hello\n") == (b"hello\ngoodbye\n", b"")
    assert relay.process.returncode == 4


def test_a_server_that_ignores_the_end_of_stdin_is_terminated(monitor: StartMonitor) -> None:
    relay = monitor(server("ignores_eof"))
    assert relay.read_line() == b"ready\n"
    relay.finish()
    assert relay.process.returncode == 128 + signal.SIGTERM


def test_a_server_that_ignores_sigterm_too_is_killed(monitor: StartMonitor) -> None:
    relay = monitor(server("ignores_term"))
    assert relay.read_line() == b"ready\n"
    relay.finish()
    assert relay.process.returncode == 128 + signal.SIGKILL


def test_what_a_launcher_started_ends_with_it(monitor: StartMonitor) -> None:
    relay = monitor(server("launches", "ignores_term"))
    child = int(relay.read_line())
    relay.finish()
    assert relay.process.returncode == 128 + signal.SIGTERM  # the launcher's end; its child took until KILL
    eventually(lambda: not is_alive(child), what="the launched server has ended")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_is_passed_on_and_the_server_decides(monitor: StartMonitor, name: str) -> None:
    relay = monitor(server("reports_signals", "2"))
    assert relay.read_line() == b"ready\n"
    for _ in range(2):
        relay.process.send_signal(signal.Signals[name])
        assert relay.read_line() == f"{name}\n".encode()
    assert relay.wait() == 5


def test_a_signal_reaches_what_a_launcher_started(monitor: StartMonitor) -> None:
    relay = monitor(server("launches", "ignores_eof"))
    child = int(relay.read_line())
    relay.process.terminate()
    assert relay.wait() == 128 + signal.SIGTERM
    eventually(lambda: not is_alive(child), what="the launched server has ended")


def test_a_hangup_that_is_ignored_stays_ignored(data_dir: Path) -> None:
    with Monitored(["cat"], data_dir, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as relay:
        relay.exchange(b"1\n")
        relay.process.send_signal(signal.SIGHUP)
        assert relay.exchange(b"2\n") == b"2\n"


@pytest.mark.parametrize("trait", ["ignores_eof", "ignores_term"])
def test_a_monitor_that_is_killed_leaves_no_orphan(monitor: StartMonitor, trait: str) -> None:
    relay = monitor(server("launches", trait))
    child = int(relay.read_line())
    launcher = _parent(child)
    try:
        relay.process.kill()
        assert relay.wait() == -signal.SIGKILL
        eventually(lambda: not is_alive(child) and not is_alive(launcher), what="launcher and server have ended")
    finally:
        end(child)
    assert relay.session().is_over()
    assert not relay.session().status().ended


def test_a_server_learns_that_the_client_reads_no_more(monitor: StartMonitor) -> None:
    relay = monitor(["yes"])
    assert relay.read(4) == b"y\ny\n"
    assert relay.process.stdout
    relay.process.stdout.close()
    assert relay.wait() == 128 + signal.SIGPIPE


def test_a_client_that_vanishes_ends_the_server(data_dir: Path) -> None:
    """The client is killed: no signal reaches the monitor, only the ends of its pipes close."""
    client = subprocess.Popen(
        [sys.executable, "-c", _CLIENT, KM_CLIENT, *map(str, server("ignores_eof"))],
        env={**os.environ, "KM_DATA_DIR": str(data_dir)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdout
    relay = int(client.stdout.readline())
    client.kill()
    client.wait()
    client.stdout.close()
    eventually(lambda: not is_alive(relay), what="the monitor has ended")


_CLIENT = """
import subprocess, sys
relay = subprocess.Popen([sys.argv[1], "monitor", "--", *sys.argv[2:]], stdin=-1, stdout=-1)
assert relay.stdout.readline() == b"ready\\n"
print(relay.pid, flush=True)
relay.wait()
"""


def test_a_client_sees_that_the_server_closed_its_stdout(monitor: StartMonitor) -> None:
    relay = monitor(server("closes_stdout"))
    assert relay.read(1000) == b"last\n"  # the end of the stream, although the server lives on
    relay.write(b"are you there?\n")
    assert relay.process.stderr and relay.process.stderr.readline() == b"heard are you there?\n"


def test_a_client_sees_that_the_server_closed_its_stdin(monitor: StartMonitor) -> None:
    relay = monitor(server("closes_stdin"))
    assert relay.read_line() == b"deaf\n"
    with pytest.raises(BrokenPipeError):
        eventually(lambda: relay.write(b"hello?\n"), what="writing fails")
    assert relay.process.stdout
    relay.process.stdout.close()  # and when the client leaves, the server is not forgotten
    assert relay.wait() == 128 + signal.SIGTERM


def test_a_ctrl_c_at_the_terminal_reaches_the_server_once(data_dir: Path) -> None:
    master, terminal = os.openpty()
    try:
        with Monitored(
            server("reports_signals", "1"), data_dir, start_new_session=True, preexec_fn=lambda: _control(terminal)
        ) as relay:
            assert relay.read_line() == b"ready\n"
            os.write(master, b"\x03")
            assert relay.read(1000) == b"SIGINT\n"
            assert relay.wait() == 5
    finally:
        os.close(master)
        os.close(terminal)


def _control(terminal: int) -> None:
    import fcntl  # noqa: PLC0415 - in the child only
    import termios  # noqa: PLC0415

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def _parent(pid: int) -> int:
    return int(subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout)


COMMANDS_THAT_CANNOT_START = {
    "no such program": ("no-such-server", 127, "not found on PATH"),
    "no such file": ("./no-such-server", 127, "does not exist"),
    "not executable": ("./plain.txt", 126, "chmod +x"),
    "no interpreter": ("./orphan.sh", 127, "interpreter"),
    "a directory": ("./", 126, "cannot be started"),
}


@pytest.mark.parametrize(
    ("command", "code", "words"), COMMANDS_THAT_CANNOT_START.values(), ids=COMMANDS_THAT_CANNOT_START
)
def test_a_server_that_cannot_start_is_named(
    data_dir: Path, tmp_path: Path, command: str, code: int, words: str
) -> None:
    (tmp_path / "plain.txt").write_text("hello")
    (tmp_path / "orphan.sh").write_text("#!/no/such/interpreter\n")
    (tmp_path / "orphan.sh").chmod(0o755)
    with Monitored([command], data_dir, cwd=tmp_path) as relay:
        out, err = relay.finish()
    assert (relay.process.returncode, out) == (code, b"")
    assert command in err.decode() and words in err.decode()
    assert not data_dir.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_monitor_stays_within_16_megabytes(monitor: StartMonitor) -> None:
    relay = monitor(["cat"])
    message = b"x" * 8_000_000 + b"\n"
    writer = subprocess.Popen(["head", "-c", "8000001", "/dev/zero"], stdout=relay.process.stdin)
    assert len(relay.read(len(message))) == len(message)
    writer.wait()
    for _ in range(200):
        relay.exchange(b'{"id":1}\n')
    status = Path(f"/proc/{relay.pid}/status").read_text()
    peak_kib = int(status.partition("VmHWM:")[2].split()[0])
    assert peak_kib <= 16 * 1024
