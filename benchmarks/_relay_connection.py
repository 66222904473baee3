"""A contender of `relay`, started with a server behind it, as the client in front of it sees it."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks._peer_environment import PeerError

SILENCE_SECONDS = 60.0  # a turn that takes longer is given up; some need ten for 8 MB


class Connection:
    """Both ends of its pipes. Everything raises `PeerError` once the contender has ended."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        assert self.process.stdin and self.process.stdout
        self._in, self._out = self.process.stdin.fileno(), self.process.stdout.fileno()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """What does not answer in time is killed, which ends the turn."""
        watchdog = threading.Timer(SILENCE_SECONDS, self.process.kill)
        watchdog.start()
        try:
            yield
        except BrokenPipeError:
            raise PeerError(f"ended with exit code {self.process.wait()}") from None
        finally:
            watchdog.cancel()

    def write(self, message: bytes | memoryview) -> None:
        while message:
            message = message[os.write(self._in, message) :]

    def read(self, size: int) -> None:
        while size > 0:
            chunk = os.read(self._out, 65_536)
            if not chunk:
                raise PeerError(f"ended with exit code {self.process.wait()}")
            size -= len(chunk)

    def read_line(self) -> bytes:
        parts: list[bytes] = []
        while not parts or not parts[-1].endswith(b"\n"):
            parts.append(os.read(self._out, 65_536))
            if not parts[-1]:
                raise PeerError(f"ended with exit code {self.process.wait()}")
        return b"".join(parts)

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(SILENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
