"""Every byte arrives, in order, on the other side and in the journal; and nothing but the server's bytes."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.client.conftest import StartMonitor
from tests.client.monitored import Monitored, recorded

SERVERS = str(Path(__file__).with_name("servers.py"))
RANDOM = random.Random(1)
STREAMS = {
    "one message": b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n',
    "nothing": b"",
    "a last line without a newline": b'{"id":1}\n{"id":2}',
    "a lone newline": b"\n",
    "binary": RANDOM.randbytes(300_000),
    "NUL bytes": b"\0" * 70_000 + b"\n\0\n",
    "CR LF, and CR alone": b'{"id":1}\r\n{"id":2}\r\r\n',
    "line separators that are no newline": '{"text":"a\u2028b\u2029c\u0085d"}\n'.encode(),
    "Latin-1 and a torn UTF-8 sequence": b'{"text":"caf\xe9 \xe2\x80"}\n',
    "ANSI colours": b"\x1b[31mWARN\x1b[0m \x1b]0;title\x07\n",
    "10,000 small messages": b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"ping"}\n' % n for n in range(10_000)),
    "8 MB in one message": b'{"id":1,"text":"' + b"x" * 8_000_000 + b'"}\n',
    "exactly one chunk": b"y" * 65_535 + b"\n",
    "one byte more than a chunk": b"y" * 65_536 + b"\n",
}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
def test_bytes_are_the_same_on_both_sides_and_in_the_journal(monitor: StartMonitor, stream: bytes) -> None:
    relay = monitor(["cat"])
    out, err = relay.finish(stream)
    assert out == stream
    assert err == b""
    assert relay.process.returncode == 0
    assert relay.recorded("request") == stream
    assert relay.recorded("response") == stream


def test_a_message_is_passed_on_before_the_next_one_comes(monitor: StartMonitor) -> None:
    relay = monitor(["cat"])
    for number in range(100):
        message = b'{"id":%d}\n' % number
        assert relay.exchange(message) == message


def test_stderr_is_the_servers_own(monitor: StartMonitor) -> None:
    relay = monitor(["sh", "-c", "head -c 1000000 /dev/zero >&2; cat"])
    out, err = relay.finish(b"hello")
    assert (out, len(err)) == (b"hello", 1_000_000)


def test_the_server_inherits_what_the_monitor_was_given(data_dir: Path, tmp_path: Path) -> None:
    strange = [b"caf\xe9", b"", b"two words", b"--", b"--debug"]
    env = {"SHOWN": "yes", "KM_API_KEY": "km_live_" + "0" * 36}
    command: list[str | bytes] = [sys.executable, SERVERS, "shows_itself", *strange]
    with Monitored(command, data_dir, env=env, cwd=tmp_path) as relay:
        descriptors, arguments, place = relay.finish()[0].decode().splitlines()
    direct = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, check=True
    )
    assert f"{descriptors}\n{arguments}\n{place}\n" == direct.stdout.decode()
    assert descriptors.startswith("['0', '1', '2'] ")


def test_descriptors_that_never_block_lose_nothing(data_dir: Path) -> None:
    """Node and others hand down pipes with O_NONBLOCK set: a full one then answers EAGAIN."""
    stdin, client_in = os.pipe()
    client_out, stdout = os.pipe()
    os.set_blocking(stdin, False)
    os.set_blocking(stdout, False)
    stream = STREAMS["binary"]
    with Monitored(["cat"], data_dir, stdin=stdin, stdout=stdout) as relay:
        os.close(stdin)
        os.close(stdout)
        writer = threading.Thread(target=_write_all, args=(client_in, stream))
        writer.start()
        with os.fdopen(client_out, "rb") as reader:
            assert reader.read() == stream
        writer.join()
        assert relay.wait() == 0


def test_sockets_in_place_of_pipes_lose_nothing(data_dir: Path) -> None:
    """Node gives a child socket pairs. A socket we made non-blocking is given back as it was."""
    client, ours = socket.socketpair()
    stream = STREAMS["binary"]
    with Monitored(["cat"], data_dir, stdin=ours.fileno(), stdout=ours.fileno()) as relay:
        writer = threading.Thread(target=_send_all, args=(client, stream))
        writer.start()
        received = b""
        while len(received) < len(stream):
            received += client.recv(65_536)
        writer.join()
        assert relay.wait() == 0
    assert received == stream
    assert os.get_blocking(ours.fileno())
    client.close()
    ours.close()


def test_a_file_in_place_of_a_pipe_is_appended_to_as_it_was_opened(data_dir: Path, tmp_path: Path) -> None:
    target, source = tmp_path / "out", tmp_path / "in"
    target.write_bytes(b"before\n")
    source.write_bytes(STREAMS["binary"])
    with (
        target.open("ab") as stdout,
        source.open("rb") as stdin,
        Monitored(["cat"], data_dir, stdin=stdin, stdout=stdout) as relay,
    ):
        assert relay.wait() == 0
    assert target.read_bytes() == b"before\n" + STREAMS["binary"]


@pytest.mark.parametrize("closed", [0, 2])
def test_a_stream_that_was_closed_is_not_taken_for_another(data_dir: Path, closed: int) -> None:
    """The next file that is opened gets the free number: a pipe or journal there would be mistaken for the stream."""
    with Monitored(["sh", "-c", "echo hello; cat"], data_dir, "--debug", preexec_fn=lambda: os.close(closed)) as relay:
        out, err = relay.finish()
        assert (relay.process.returncode, out) == (0, b"hello\n")
        assert (b"exit code 0" in err) == (closed != 2)
        assert relay.recorded("response") == b"hello\n"
        assert relay.session().status().exit_code == 0
        assert (relay.session().path / "status").stat().st_size == 4096


def test_no_signal_is_ignored_for_the_server_that_was_not_before(monitor: StartMonitor) -> None:
    """Python ignores SIGPIPE and SIGXFSZ for itself. (32 and 33 are the C library's own: no program can use them.)"""
    command: list[str | bytes] = ["grep", "SigIgn", "/proc/self/status"]
    theirs = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    ours = monitor(command).finish()[0]
    assert int(ours.split()[1], 16) & ~(0b11 << 31) == int(theirs.split()[1], 16)


def test_a_server_that_does_not_read_cannot_silence_itself(monitor: StartMonitor) -> None:
    relay = monitor([sys.executable, SERVERS, "never_reads"])
    assert relay.process.stdin
    flood = (os.dup(relay.process.stdin.fileno()), b"x" * 2_000_000)
    writer = threading.Thread(target=_write_all, args=flood, daemon=True)
    writer.start()
    ticks = [relay.read_line() for _ in range(2_000)]
    assert ticks[-1] == b"tick 1999\n"
    assert writer.is_alive()  # the server's full pipe is felt by the client, as it would be without a relay
    relay.process.terminate()
    assert relay.wait() == 128 + 15
    writer.join()


def test_a_client_that_does_not_read_can_still_be_heard(monitor: StartMonitor) -> None:
    relay = monitor([sys.executable, SERVERS, "floods"])
    assert relay.process.stderr
    for number in range(20):
        relay.write(b"ping %d\n" % number)
        assert relay.process.stderr.readline() == b"heard ping %d\n" % number
    assert (b"flood\n" * 100_000).startswith(recorded(relay.session(), "response"))


def _send_all(client: socket.socket, data: bytes) -> None:
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)


def _write_all(fd: int, data: bytes) -> None:
    """Until all is written or nobody reads; then close."""
    with contextlib.suppress(BrokenPipeError), os.fdopen(fd, "wb", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) or 0 :]
