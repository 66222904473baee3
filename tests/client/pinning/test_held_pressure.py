"""A client that takes no answers fills no memory, and a program that keeps the lock of the pins stops nobody else."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import select
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from km_client.capture import lock
from km_client.capture.recording import Recording
from km_client.pinning import pin_file
from km_client.pinning.pins import Identity
from km_client.proxy import held_pins
from km_client.proxy.holding import Judge
from km_client.proxy.http.connection import Connection
from km_client.proxy.http.dialling import Dialler
from km_client.proxy.http.gateway import Gateway
from km_client.proxy.http.guard import Guard
from km_client.proxy.http.held import HeldExchanges
from km_client.proxy.http.runs import Runs
from km_client.proxy.http.target import parse_url
from km_client.proxy.http.wire import Wire

from tests.client.http.raw_http import OK, Proxy, RawServer
from tests.client.monitored import Monitored
from tests.client.pinning.conftest import asking, calling, listing, tool

ROOM_BYTES = 2 << 20  # all that pipes, sockets and one piece of what is read can hold, several times over
CALLS = b"".join(calling("b", id=number) + b"\n" for number in range(700))


def pinned(name: str = "git") -> Identity:
    """A server whose one tool is `a`."""
    identity = Identity(name, ("mcp-server-git",))
    judge = Judge(identity, print)
    judge.asked(asking(), 1)
    judge.answered(listing(tool("a")), 2)
    return identity


def taken(fd: int) -> int:
    """How many bytes are taken from us until nobody has read any for a moment."""
    os.set_blocking(fd, False)
    size = 0
    while size < 2 * ROOM_BYTES and select.select([], [fd], [], 0.3)[1]:
        size += os.write(fd, CALLS[size % len(CALLS) :])
    os.set_blocking(fd, True)
    return size


def test_calls_that_are_held_are_read_only_as_fast_as_their_answers(hold: Path) -> None:
    """And none is lost."""
    program = f"import sys; sys.stdin.readline(); print({listing(tool('a')).decode()!r}, flush=True); sys.stdin.read()"
    environment = {"KM_CONFIG_DIR": str(hold / "config")}
    with Monitored([sys.executable, "-c", program], hold / "data", env=environment) as relay:
        relay.write(asking(1) + b"\n")
        relay.read_line()
        assert relay.process.stdin and relay.process.stdout
        size = taken(relay.process.stdin.fileno())
        assert size < ROOM_BYTES
        count = CALLS[: size % len(CALLS)].count(b"\n") + size // len(CALLS) * 700
        with os.fdopen(os.dup(relay.process.stdout.fileno()), "rb") as answers:
            identifiers = [json.loads(answers.readline())["id"] for _ in range(count)]
        assert identifiers == [number % 700 for number in range(count)]


def test_behind_the_proxy_too(machine: Path) -> None:
    async def flood() -> tuple[int, int]:
        held = HeldExchanges(lambda walk: Judge(identity, print, walk))
        dialler = Dialler(parse_url("http://127.0.0.1:1/mcp"))
        gateway = Gateway(dialler, Guard("127.0.0.1", 80), Runs(unrecorded(machine)), [], print, print, held)
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(Wire, sock=ours)
        serving = loop.create_task(Connection(wire, gateway).serve())
        body = calling("b")
        head = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        request = head % len(body) + body
        size, most = 0, 0
        while size < 2 * ROOM_BYTES and most < 10:
            try:
                size += theirs.send(request[size % len(request) :])
                most = 0
            except BlockingIOError:
                most += 1
                await asyncio.sleep(0.02)
        unsent = wire.transport.get_write_buffer_size()
        theirs.close()
        await serving
        return size, unsent

    identity = pinned()
    size, unsent = asyncio.run(flood())
    assert size < ROOM_BYTES and unsent < ROOM_BYTES


def unrecorded(machine: Path) -> Callable[[], Recording]:
    def opened() -> Recording:
        made = Recording(machine / "run", {}, on_failure=lambda _: None, on_rotation=lambda: None)
        made.start()
        return made

    return opened


@pytest.fixture
def keeper(machine: Path) -> Iterator[int]:
    """Another program has the lock of the pins until this is closed."""
    directory = machine / "data" / "pins"
    directory.mkdir(parents=True, mode=0o700, exist_ok=True)
    fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    yield fd
    os.close(fd)


def test_whoever_keeps_the_lock_does_not_stop_a_session_that_knows_its_pins(
    machine: Path, keeper: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pin_file, "LOCK_SECONDS", 600.0)
    monkeypatch.setattr(held_pins, "PATIENCE_SECONDS", 0.05)
    said: list[str] = []
    judge = Judge(pinned(), said.append)
    assert lock.hold(keeper)
    judge.asked(asking(), 3)
    shown = json.loads(judge.answered(listing(tool("a", "Evil"), tool("b")), 4).content)["result"]["tools"]
    assert shown == [tool("a")]
    assert judge.asked(calling("a"), 5).refusals and judge.asked(calling("b"), 5).refusals
    assert "another program keeps" in said[0]
    Judge(Identity("unknown"), print).asked(asking(), 6)  # what is only asked waits for nobody


def test_a_list_that_waits_for_the_lock_holds_up_nobody_else(hold: Path, keeper: int) -> None:
    environment = {"KM_CONFIG_DIR": str(hold / "config")}
    assert lock.hold(keeper)
    with ExitStack() as stack:
        server = stack.enter_context(RawServer())
        proxy = stack.enter_context(Proxy(server.url, hold / "data", env=environment))
        with proxy.connect() as first, proxy.connect() as second:
            first.send(proxy.request(asking()))
            peer = server.accept()
            peer.head()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            peer.send(head % len(listing(tool("a"))) + listing(tool("a")))
            second.send(proxy.request())
            other = server.accept()
            other.head()
            other.send(OK)
            assert second.head().startswith(b"HTTP/1.1 200")
            assert first.has_nothing(0.0), "the first list of all is not believed before it is pinned"
            fcntl.flock(keeper, fcntl.LOCK_UN)
            assert b"Does a." in first.until(b"0\r\n\r\n")
