"""A real `km-client monitor` around a real process, as an MCP client starts it; and what it left on disk.

with Monitored(["cat"], data_dir) as monitor:
    assert monitor.exchange(b"hello\\n") == b"hello\\n"
assert monitor.recorded("request") == b"hello\\n"
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from km_client.capture.journal import Direction
from km_client.capture.spool import SessionSpool, list_sessions

KM_CLIENT = str(Path(sys.executable).with_name("km-client"))
PATIENCE_SECONDS = 30.0  # how long a step may take on a loaded machine before the test fails


class Monitored:
    """One monitor process. `popen` takes what `subprocess.Popen` takes; by default all three streams are pipes."""

    def __init__(
        self,
        command: Sequence[str | bytes],
        data_dir: Path,
        *flags: str,
        env: dict[str, str] | None = None,
        **popen: Any,
    ) -> None:
        self.data_dir = data_dir
        environment = {**os.environ, "KM_DATA_DIR": str(data_dir), **(env or {})}
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(
            [KM_CLIENT, "monitor", *flags, "--", *command], env=environment, **{**streams, "bufsize": 0, **popen}
        )

    def __enter__(self) -> Monitored:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE_SECONDS)
        self.process.kill()
        self.process.wait()

    @property
    def pid(self) -> int:
        return self.process.pid

    def write(self, data: bytes) -> None:
        assert self.process.stdin
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.process.stdin.fileno(), rest) :]

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes of the monitor's stdout, or all there are if it ends before."""
        assert self.process.stdout
        data = b""
        while len(data) < size and (chunk := os.read(self.process.stdout.fileno(), size - len(data))):
            data += chunk
        return data

    def read_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n") and (byte := self.read(1)):
            line += byte
        return line

    def exchange(self, data: bytes) -> bytes:
        """Write, and read as much as was written: what an echoing server answers."""
        self.write(data)
        return self.read(len(data))

    def finish(self, data: bytes = b"") -> tuple[bytes, bytes]:
        """Send the last bytes, close stdin, and return all of stdout and stderr when the monitor has ended."""
        out, err = self.process.communicate(data, PATIENCE_SECONDS)
        return out, err

    def wait(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def session(self) -> SessionSpool:
        """The one session in the journal."""
        (spool,) = list_sessions(self.data_dir / "journal")
        return spool

    def recorded(self, direction: Direction) -> bytes:
        return recorded(self.session(), direction)


def recorded(spool: SessionSpool, direction: Direction) -> bytes:
    """The bytes of one direction, in order."""
    records = spool.records({}, over=True, now_ns=time.monotonic_ns())
    return b"".join(record.payload for record in records if record.direction == direction)


def is_alive(pid: int) -> bool:
    """Whether this process runs; one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def end(pid: int) -> None:
    """Kill a process that a failing test may have left."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
