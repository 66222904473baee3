"""What `server_process` and `relay` are elsewhere, for Windows. Untested: no machine of the project runs it.

    server = start(["npx", "-y", "…"])          `npx.cmd` is found as a shell would find it; no console window appears
    relay(server, recording)  ->  exit code      never negative: Windows knows no signals

A job object stands for the process group: everything the server starts belongs to it, and the system ends it all when
the relay's last handle to the job closes, however the relay dies. Pipes cannot be polled there, so each direction has a
thread of its own that may block, and a stop order without TERM, which has no equivalent for a process without console.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING

from km_client.capture.journal import DirectionJournal
from km_client.capture.recording import Recording
from km_client.errors import ClientError

if TYPE_CHECKING:
    from km_client.proxy.held_channel import Hold, Lines

assert sys.platform == "win32"

CHUNK_BYTES = 64 * 1024
GRACE_SECONDS = 4.0  # both halves of the POSIX stop order: a server has this long after its stdin closed
DRAIN_SECONDS = 2.0
NOT_FOUND, NOT_EXECUTABLE = 127, 126
CREATE_SUSPENDED = 0x4
KILL_ON_JOB_CLOSE = 0x2000
EXTENDED_LIMIT_INFORMATION = 9


class ServerProcess:
    """A started server inside a job that ends with this process."""

    def __init__(self, process: subprocess.Popen[bytes], job: int) -> None:
        self.process = process
        self.pid = process.pid
        self._job = job  # kept open: closing it ends the server

    def kill(self) -> None:
        """End everything in the job."""
        ctypes.windll.kernel32.TerminateJobObject(ctypes.c_void_p(self._job), 1)


def start(command: list[str]) -> ServerProcess:
    """Start the server. Raises `ClientError` with exit code 127 or 126 if it cannot be."""
    program = shutil.which(command[0])
    if program is None:
        hint = "give the command its full path (`where NAME` shows it)"
        raise ClientError("server_not_found", f"the MCP server `{command[0]}` was not found on PATH", hint, NOT_FOUND)
    job = _job()
    flags = CREATE_SUSPENDED | subprocess.CREATE_NO_WINDOW
    try:
        process = subprocess.Popen(
            [program, *command[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, creationflags=flags
        )
    except OSError as error:
        message = f"the MCP server `{command[0]}` cannot be started: {error.strerror}"
        raise ClientError("server_not_executable", message, "", NOT_EXECUTABLE) from None
    handle = ctypes.c_void_p(int(process._handle))  # type: ignore[attr-defined]  # subprocess offers it no other way
    ctypes.windll.kernel32.AssignProcessToJobObject(ctypes.c_void_p(job), handle)
    ctypes.windll.ntdll.NtResumeProcess(handle)
    return ServerProcess(process, job)


def relay(server: ServerProcess, recording: Recording, hold: Hold | None = None) -> int:
    """Relay until the server has ended. Returns its exit code."""
    output = _Output(recording.response)
    events: SimpleQueue[str] = SimpleQueue()
    process = server.process
    assert process.stdin and process.stdout
    stdin, stdout = process.stdin, process.stdout

    asked = hold.lines(output, is_clients=True) if hold else None
    answered = hold.lines(output, is_clients=False) if hold else None

    def pass_requests() -> None:
        _copy(0, lambda data: _write(stdin.fileno(), data), recording.request.append, asked)
        stdin.close()
        events.put("client gone")

    def pass_responses() -> None:
        _copy(stdout.fileno(), output.write, output.record, answered)

    def await_end() -> None:
        process.wait()
        events.put("ended")

    _thread(pass_requests)
    response = _thread(pass_responses)
    _thread(await_end)
    if events.get() == "client gone":
        _wait_for_end(events, server)
    response.join(DRAIN_SECONDS)
    return process.wait() & 0xFF


def _wait_for_end(events: SimpleQueue[str], server: ServerProcess) -> None:
    try:
        while events.get(timeout=GRACE_SECONDS) != "ended":
            continue
    except Empty:
        server.kill()


class _Output:
    """Our stdout, for the thread that passes answers on and the one that refuses calls in their place."""

    def __init__(self, journal: DirectionJournal) -> None:
        self._journal = journal
        self._mine = threading.RLock()

    def write(self, data: bytes) -> None:
        with self._mine:
            _write(1, data)

    def record(self, data: bytes, monotonic: int, unix: int) -> None:
        with self._mine:
            self._journal.append(data, monotonic, unix)

    def put(self, content: bytes, recorded: bytes) -> bool:
        with self._mine:
            self.write(content)
            self.record(recorded, monotonic_ns(), time_ns())
        return False  # it was waited for


def _copy(
    source: int,
    write: Callable[[bytes], None],
    record: Callable[[bytes, int, int], None],
    lines: Lines | None,
) -> None:
    """Bytes as they come, each chunk recorded once it was passed on, until either side is gone."""
    with contextlib.suppress(OSError):  # a broken pipe is how the other side says goodbye
        goes_on = True
        while goes_on:
            chunk = os.read(source, CHUNK_BYTES)
            goes_on = bool(chunk)
            read_at, read_at_unix = monotonic_ns(), time_ns()
            if lines is None:
                content, recorded = chunk, chunk
            else:
                content, recorded = lines.pass_on(chunk, read_at_unix)
            if recorded:
                write(content)
                record(recorded, read_at, read_at_unix)


def _write(sink: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(sink, rest) :]


def _thread(target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def _job() -> int:
    """A job whose processes end when its last handle is closed."""
    kernel = ctypes.windll.kernel32
    kernel.CreateJobObjectW.restype = ctypes.c_void_p
    job: int = kernel.CreateJobObjectW(None, None)
    limits = (ctypes.c_byte * (144 if ctypes.sizeof(ctypes.c_void_p) == 8 else 112))()
    ctypes.cast(ctypes.byref(limits, 16), ctypes.POINTER(ctypes.c_uint32))[0] = KILL_ON_JOB_CLOSE
    kernel.SetInformationJobObject(ctypes.c_void_p(job), EXTENDED_LIMIT_INFORMATION, limits, len(limits))
    return job
