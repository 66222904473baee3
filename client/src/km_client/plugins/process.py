"""One plugin's processes: started through the launcher, watched until they end, ended as a group.

The child is in a session and process group of its own, so that everything it starts can be ended with it. Its exit is
waited for by a thread that leaves the zombie in place until the group was killed: as long as it is there, the group's
number cannot have passed to anybody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import marshal
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from km_client.plugins import launcher
from km_client.plugins.errors import CrashError, RefusedError

_LONGEST_ANSWER = 64 * 1024
# errno of the failed exec → the code of the error
_EXEC_ERRORS = {2: "program_missing", 8: "program_architecture", 13: "program_not_executable"}
# Imported, so that its compiled form is used: a script is compiled at every start, which takes 3 ms.
_START = "import sys; sys.path.append(sys.argv[2]); from km_client.plugins.launcher import start; start.main()"
# Its own session and group; nothing of ours on its standard streams.
_SPAWN: dict[str, Any] = {
    "stdin": subprocess.DEVNULL,
    "stdout": subprocess.PIPE,
    "stderr": subprocess.PIPE,
    "bufsize": 0,
    "start_new_session": True,
}


@dataclass(frozen=True, slots=True)
class Launched:
    """What the launcher answered: the steps it could not do (best-effort only). `rest`: what it said right after."""

    failed: dict[str, str]
    rest: bytes = b""


class PluginProcess:
    """A started launcher, soon the plugin. Everything here runs in the host's event loop."""

    def __init__(self, popen: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._popen = popen
        self._control = control
        self.pid = popen.pid
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        self._waiter = threading.Thread(target=self._wait, args=(loop,), name=f"km-exit-{self.pid}", daemon=True)
        self._waiter.start()

    @classmethod
    def start(cls) -> PluginProcess:
        """Start the launcher; it waits for its plan. Must be called from a thread that lives as long as the host."""
        ours, theirs = socket.socketpair()
        with theirs:
            where = str(Path(launcher.__file__).parents[3])
            bytecode = ("-B",) if sys.dont_write_bytecode else ()
            command = [sys.executable, "-I", "-S", *bytecode, "-c", _START, str(theirs.fileno()), where]
            popen = subprocess.Popen(command, cwd="/", env={}, pass_fds=(theirs.fileno(),), **_SPAWN)
        return cls(popen, ours)

    async def drain(self, source: str, receive: Callable[[str, bytes], None]) -> None:
        """Have `receive` called with everything the process writes to `source`, "stdout" or "stderr"."""
        pipe = self._popen.stdout if source == "stdout" else self._popen.stderr
        await asyncio.get_running_loop().connect_read_pipe(lambda: _Drain(source, receive), pipe)

    async def launch(self, plan: dict[str, Any], listening: Callable[[int], None]) -> Launched:
        """Hand over the plan and wait until the plugin's program runs. `listening` gets the seccomp listener at once.

        Raises `RefusedError` with what the kernel refused, or why the program could not be executed.
        """
        data = marshal.dumps(plan)
        loop = asyncio.get_running_loop()
        self._control.setblocking(False)
        try:
            await loop.sock_sendall(self._control, struct.pack("=I", len(data)) + data)
            launched = await self._first_answer(listening)
            later = launched.rest or await loop.sock_recv(self._control, _LONGEST_ANSWER)
        except ConnectionError:
            raise CrashError("launcher_died", "the plugin's launcher was ended", "start the plugin again") from None
        finally:
            self._control.close()
        if later:
            raise _refusal(_decode(later))
        return launched

    async def _first_answer(self, listening: Callable[[int], None]) -> Launched:
        await _readable(self._control)
        data, descriptors, _, _ = socket.recv_fds(self._control, _LONGEST_ANSWER, 1)
        for listener in descriptors:
            listening(listener)
        if not data:
            raise CrashError("launcher_died", "the plugin's launcher ended without a word", "see the plugin's log")
        answer = _decode(data)
        if answer["error"]:
            raise _refusal(answer)
        return Launched(answer["failed"], data[4 + struct.unpack("=I", data[:4])[0] :])

    def kill(self) -> None:
        """End every process of the group, stopped ones too. Harmless when they are gone."""
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError):  # all of it is gone already
                os.killpg(self.pid, signal.SIGKILL)

    async def end(self) -> int:
        """Kill and reap; returns the exit code, negative for a signal."""
        self.kill()
        code = await asyncio.shield(self.exited)
        self._waiter.join()
        return code

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(RuntimeError):  # the loop is closed: the host is gone
            loop.call_soon_threadsafe(self._reap)

    def _reap(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it had no children, or they are gone
            os.killpg(self.pid, signal.SIGKILL)
        if not self.exited.done():
            self.exited.set_result(self._popen.wait())


class _Drain(asyncio.Protocol):
    def __init__(self, source: str, receive: Callable[[str, bytes], None]) -> None:
        self._source, self._receive = source, receive

    def data_received(self, data: bytes) -> None:
        self._receive(self._source, data)


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def is_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(sock, is_ready)
    try:
        await ready
    finally:
        loop.remove_reader(sock)


def _decode(data: bytes) -> dict[str, Any]:
    """The launcher's answer: our own program, over a socket pair that only it holds, before the plugin runs."""
    answer: dict[str, Any] = marshal.loads(data[4:])  # noqa: S302
    return answer


def _refusal(answer: dict[str, Any]) -> RefusedError:
    if answer["exec"]:
        code = _EXEC_ERRORS.get(answer["exec"], "program_failed")
        return RefusedError(code, f"the plugin cannot be executed: {answer['error']}", "build it for this machine")
    return RefusedError(
        "sandbox_incomplete",
        f"the sandbox could not be put up: {answer['error']}",
        "`sandbox = best-effort` starts the plugin with what this machine can enforce",
    )
