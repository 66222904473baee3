"""The relay on POSIX: move bytes both ways between the client and a started server, and end as the server ends.

    relay(server, recording)  ->  0, or 7, or -9          the server's exit code, or minus the signal that ended it

One thread, one `poll`. Two blocking threads, one a direction, were measured beside it: they added 1.9 times the latency
of a C tee, this loop 1.4 times, because the answer of a quick server finds it awake and has no lock to wait for.

How it ends:
  the server ends              what it still had to say is passed on, then the relay ends with its exit code or signal
  the client closes stdin      the server's stdin closes; after two seconds TERM, after two more KILL, to the group
  the client stops reading     the server's stdout closes, so the server learns it as it would without us; then the same
  SIGTERM, SIGINT, SIGHUP      go to the server's group; what the server makes of them decides
  the relay is killed          its guardian ends the group
"""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from km_client.capture.recording import Recording
from km_client.proxy.channel import READABLE, Channel, Watch
from km_client.proxy.server_process import ServerProcess

if TYPE_CHECKING:
    from km_client.proxy.held_channel import Hold

STDIN, STDOUT = 0, 1
GRACE_SECONDS = 2.0  # what the MCP SDKs give a server between closing its stdin and TERM, and between TERM and KILL
STOP_ORDER = (signal.SIGTERM, signal.SIGKILL)  # after the server's stdin was closed, each `GRACE_SECONDS` later
DRAIN_SECONDS = 2.0  # for a client that reads slowly; what a dead server leaves is at most a pipe full, 64 KiB


def relay(server: ServerProcess, recording: Recording, hold: Hold | None = None) -> int:
    """Relay until the server has ended. Returns its exit code, or minus the signal that ended it."""
    output = _ClientOutput()
    ended = _Relay(server, recording, output, hold.channel if hold else Channel).run()
    output.give_back()
    return ended


class _Relay:
    def __init__(
        self,
        server: ServerProcess,
        recording: Recording,
        output: _ClientOutput,
        channel: Callable[..., Channel] = Channel,
    ) -> None:
        self._server = server
        self._output = output
        self._ending: int | None = None
        self._stop_order = iter(STOP_ORDER)
        self._stopping = False
        self._deadline: float | None = None
        self._watch = Watch()
        self._watch.add(server.signals, READABLE, self._on_signals)
        self._request = channel(
            STDIN,
            server.stdin,
            recording.request,
            self._watch,
            on_end=self._client_left,
            on_broken=self._server_is_deaf,
        )
        self._response = channel(
            server.stdout,
            output.fd,
            recording.response,
            self._watch,
            on_end=self._server_is_mute,
            on_broken=self._client_is_deaf,
        )

    def run(self) -> int:
        while self._ending is None:
            self._watch.wait(None if self._deadline is None else 1000 * max(0.0, self._deadline - monotonic()))
            if self._deadline is not None and monotonic() >= self._deadline:
                self._escalate()
        self._response.drain(DRAIN_SECONDS)
        return self._ending

    def _on_signals(self) -> None:
        for number in os.read(self._server.signals, 64):
            if number != signal.SIGCHLD:
                self._server.signal(number)
            elif self._ending is None:  # a later one may be of the agent, or of a grandchild that came to us
                self._ending = self._server.ended()

    def _client_left(self) -> None:
        """Let the server see the end of its input, and see to it that it ends."""
        if not self._stopping:
            self._stopping = True
            self._request.close()
            self._server.close_stdin()
            self._deadline = monotonic() + GRACE_SECONDS

    def _escalate(self) -> None:
        number = next(self._stop_order, None)
        self._deadline = None if number is None else monotonic() + GRACE_SECONDS
        if number is not None:
            self._server.signal(number)

    def _client_is_deaf(self) -> None:
        """It reads our stdout no more: let the server's next write fail, as it would without us."""
        self._server.close_stdout()
        self._client_left()

    def _server_is_deaf(self) -> None:
        """It closed its stdin and may live on: let the client's next write fail, as it would without us."""
        self._server.close_stdin()
        _to_null(STDIN)
        other_end = os.dup(self._output.fd)  # our stdin cannot tell any more when the client leaves; this still can

        def hung_up() -> None:
            self._watch.remove(other_end)
            self._client_left()

        self._watch.add(other_end, 0, hung_up)

    def _server_is_mute(self) -> None:
        """It closed its stdout and may live on: let the client see the end of ours."""
        self._output.close()
        if self._server.stdin < 0:  # deaf as well: nobody can talk to it any more
            self._client_left()


class _ClientOutput:
    """Our stdout, never blocking if it is something that could block.

    `O_NONBLOCK` belongs to the open file, which other processes may share with us. A pipe is therefore opened anew
    where the system can; a socket, or a pipe elsewhere, is switched, and given back as it was.
    """

    def __init__(self) -> None:
        mode = os.fstat(STDOUT).st_mode
        self.fd = _reopened(STDOUT) if stat.S_ISFIFO(mode) else STDOUT
        self._was_blocking = os.get_blocking(STDOUT)
        if self.fd == STDOUT and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            os.set_blocking(STDOUT, False)

    def give_back(self) -> None:
        os.set_blocking(STDOUT, self._was_blocking)

    def close(self) -> None:
        """Let the client see the end of it."""
        self.give_back()
        _to_null(self.fd)
        _to_null(STDOUT)


def _reopened(fd: int) -> int:
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # no /proc, or a pipe that another user made
        return fd


def _to_null(fd: int) -> None:
    """Close what `fd` stands for, but keep the number taken."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, fd)
    os.close(null)
