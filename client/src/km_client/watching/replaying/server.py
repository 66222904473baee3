"""A server to play against: a process that speaks MCP on its stdin and stdout, and whatever it started."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Any

from km_client.errors import ClientError
from km_client.proxy.framing import FrameSplitter

GRACE_SECONDS = 2.0  # between the end of its stdin and TERM, and between TERM and KILL, as the MCP SDKs give
READ_BYTES = 64 * 1024
LONGEST_WAIT_SECONDS = 1e9  # decades; a queue takes no more than some centuries
NOT_FOUND = 127  # as every shell reports it
LEAVING = (signal.SIGTERM,) if sys.platform == "win32" else (signal.SIGTERM, signal.SIGHUP)


class RunningServer:
    """Its stderr is ours. Raises `ClientError` if it cannot be started."""

    def __init__(self, command: Sequence[str]) -> None:
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
            )
        except OSError as error:
            message = f"cannot start `{command[0]}`: {error.strerror}"
            raise ClientError("no_server", message, "check the command after `--`", exit_code=NOT_FOUND) from None
        self._heard: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._has_ended = False
        self._said: queue.Queue[bytes | None] = queue.Queue()
        self._writer = threading.Thread(target=self._write, daemon=True)
        for each in (threading.Thread(target=self._listen, daemon=True), self._writer):
            each.start()

    def __enter__(self) -> RunningServer:
        """A TERM or a HUP, as of a CI job that takes too long, ends the server before it ends us."""
        self._handlers = {number: signal.signal(number, _leave) for number in LEAVING} if _is_main() else {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for given, handler in self._handlers.items():
            signal.signal(given, handler)
        self._said.put(None)
        for number in (signal.SIGTERM, None):
            if self._is_over(GRACE_SECONDS):
                break
            self._signal(number)
        self._signal(None)  # what it left behind in its group
        self._process.wait()
        self._writer.join(GRACE_SECONDS)
        _pipe(self._process.stdout).close()

    @property
    def ending(self) -> str:
        """How the server ended, blank while it lives."""
        if not self._has_ended:
            return ""
        try:
            code = self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return "it closed its stdout"
        return f"exit code {code}" if code >= 0 else f"signal {-code}"

    def say(self, content: bytes) -> None:
        """One message, in one line. Never waits: a server that does not read is one that does not answer."""
        self._said.put(content.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n")

    def hear(self, seconds: float) -> dict[str, Any] | None:
        """The next message, `None` if none came in time or none will come any more."""
        if self._has_ended:
            return None
        try:
            message = self._heard.get(timeout=min(seconds, LONGEST_WAIT_SECONDS))
        except queue.Empty:
            return None
        self._has_ended = message is None
        return message

    def _listen(self) -> None:
        splitter = FrameSplitter()
        stdout = _pipe(self._process.stdout)
        with contextlib.suppress(ValueError, OSError):  # closed under us, at the end
            while chunk := os.read(stdout.fileno(), READ_BYTES):
                for frame in splitter.feed(chunk):
                    self._put(frame)
        self._heard.put(None)

    def _write(self) -> None:
        """In a thread of its own: what is said, in order; then the end of it."""
        with _pipe(self._process.stdin) as stdin, contextlib.suppress(OSError):  # it ended: `hear` tells that
            while (line := self._said.get()) is not None:
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(stdin.fileno(), rest) :]

    def _put(self, frame: bytes) -> None:
        try:
            message = json.loads(frame)
        except (ValueError, RecursionError):
            return  # a banner, a log line: no message of MCP
        for one in message if isinstance(message, list) else [message]:
            if isinstance(one, dict):
                self._heard.put(one)

    def _is_over(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _signal(self, number: signal.Signals | None) -> None:
        """To the whole group; `None` kills it."""
        if sys.platform == "win32":
            self._process.kill()
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number or signal.SIGKILL)


def _leave(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _is_main() -> bool:
    """Python lets only the main thread handle signals."""
    return threading.current_thread() is threading.main_thread()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
