"""The server that a recording is played to: whatever it does, the player waits no longer than it wants to."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from km_client.watching.replaying import server as module
from km_client.watching.replaying.server import RunningServer

from tests.client.monitored import PATIENCE_SECONDS, is_alive

DEAF = ["bash", "-c", 'echo "{\\"pid\\": $$}"; exec sleep 600']


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.05)


class Signalled(Exception):
    """What the handler of before does."""


@pytest.fixture
def handler() -> Iterator[object]:
    """A handler of TERM that was there before."""

    def told(number: int, frame: object) -> None:
        raise Signalled

    before = signal.signal(signal.SIGTERM, told)
    yield told
    signal.signal(signal.SIGTERM, before)


def pid(server: RunningServer) -> int:
    message = server.hear(PATIENCE_SECONDS)
    assert message is not None
    return int(message["pid"])


@pytest.mark.usefixtures("hasty")
def test_saying_something_to_a_server_that_reads_nothing_holds_nobody_up() -> None:
    with RunningServer(DEAF) as server:
        number = pid(server)
        for _ in range(3):
            server.say(b"x" * 1_000_000)
        assert server.hear(0.01) is None and server.ending == ""
    assert not is_alive(number)


def test_everything_that_was_said_is_read_before_stdin_ends() -> None:
    counting = 'while read -r line; do echo "{\\"read\\": ${#line}}"; done; echo "{\\"read\\": \\"all\\"}"'
    with RunningServer(["bash", "-c", counting]) as server:
        for size in (3, 200_000, 1):
            server.say(b"x" * size)
        heard = [server.hear(PATIENCE_SECONDS) for _ in range(3)]
    assert [*heard, server.hear(PATIENCE_SECONDS)] == [{"read": size} for size in (3, 200_000, 1, "all")]


@pytest.mark.usefixtures("hasty")
def test_a_term_ends_the_server_before_us(handler: object) -> None:
    with pytest.raises(SystemExit) as left, RunningServer(DEAF) as server:
        number = pid(server)
        os.kill(os.getpid(), signal.SIGTERM)
        server.hear(PATIENCE_SECONDS)
    assert left.value.code == 128 + signal.SIGTERM and not is_alive(number)
    assert signal.getsignal(signal.SIGTERM) is handler
