"""The server's life on POSIX: start it, signal it and everything it started, learn how it ended.

    server = start(["npx", "-y", "@modelcontextprotocol/server-everything"])
    os.write(server.stdin, …); os.read(server.stdout, …)        ours alone, never blocking
    server.signal(SIGTERM)                                       to the whole process group
    server.ended()                                               None while it lives; 7 if it exited so, -9 if killed

The server leads a process group of its own: a launcher (`npx`, `uvx`, a shell) and what it launched are signalled
together, and a ctrl-C at the terminal reaches it once, through the relay. A guardian (`guardian.py`) ends what is left
of the group when the relay is gone, even by `kill -9`. stderr is inherited: no need to drain it.

Imports little, because the server is started before the rest of the relay is even loaded.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal

from km_client.errors import ClientError
from km_client.proxy import guardian, signals

TYPE_CHECKING = False  # as type checkers know it; `typing` itself would cost 2 ms here
if TYPE_CHECKING:
    from typing import Any

NOT_FOUND = 127  # as every shell reports it
NOT_EXECUTABLE = 126
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)  # by the interpreter, for itself; the server must not inherit it


def start(command: list[str]) -> ServerProcess:
    """Start the server. Raises `ClientError` with exit code 127 or 126 if it cannot be."""
    _fill_standard_descriptors()
    theirs_in, ours_in = os.pipe()
    ours_out, theirs_out = os.pipe()
    with signals.held() as mask:  # a signal must not find a server that nobody would pass it on to
        arrived = signals.catch()
        pid = _spawn(command, theirs_in, theirs_out, mask)
        guardian.watch_over(pid)
    os.close(theirs_in)
    os.close(theirs_out)
    os.set_blocking(ours_in, False)
    os.set_blocking(ours_out, False)
    return ServerProcess(pid, ours_in, ours_out, arrived)


class ServerProcess:
    """A started server. `signals` is where the relay reads the signals that came for itself (`signals.catch`)."""

    def __init__(self, pid: int, stdin: int, stdout: int, arrived: int) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.signals = arrived

    def close_stdin(self) -> None:
        """Let the server see the end of its input."""
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    def close_stdout(self) -> None:
        """Let the server's next write fail."""
        if self.stdout >= 0:
            os.close(self.stdout)
            self.stdout = -1

    def signal(self, number: int) -> None:
        """Send a signal to the server's process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # all gone, or none left that may be signalled
            os.killpg(self.pid, number)

    def ended(self) -> int | None:
        """How the server ended: its exit code, or minus the signal; `None` while it lives. Reaps every other child."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return None
                if pid == self.pid:
                    return os.waitstatus_to_exitcode(status)
        return None


def _spawn(command: list[str], stdin: int, stdout: int, mask: set[int]) -> int:
    try:
        return os.posix_spawnp(
            command[0],
            command,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, stdout, 1)],
            setsigmask=mask,
            setsigdef=IGNORED_BY_PYTHON,
            **_own_group(),
        )
    except FileNotFoundError:
        raise _not_found(command[0]) from None
    except OSError as error:
        hint = "make it executable (`chmod +x`), and let a script begin with `#!` and its interpreter"
        if error.errno not in (errno.EACCES, errno.ENOEXEC, errno.EPERM):
            hint = ""
        message = f"the MCP server `{command[0]}` cannot be started: {error.strerror}"
        raise ClientError("server_not_executable", message, hint, NOT_EXECUTABLE) from None


def _own_group() -> dict[str, Any]:
    """At a terminal a session, or a server that asks there for a password would be stopped as a background job.

    Elsewhere only a process group: Linux schedules sessions as groups, and crossing them costs 4 µs a message.
    """
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return {"setpgroup": 0}
    return {"setsid": True}


def _not_found(program: str) -> ClientError:
    if "/" in program and os.access(program, os.F_OK):
        message = f"the MCP server `{program}` cannot be started: the interpreter in its first line does not exist"
    elif "/" in program:
        message = f"the MCP server `{program}` does not exist"
    else:
        message = f"the MCP server `{program}` was not found on PATH ({os.environ.get('PATH', 'not set')})"
    hint = "MCP clients often start servers with a short PATH: give the command its full path (`command -v NAME`)"
    return ClientError("server_not_found", message, hint, NOT_FOUND)


def _fill_standard_descriptors() -> None:
    """Whoever started us may have closed 0, 1 or 2: a pipe that landed there would be taken for them."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
