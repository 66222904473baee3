"""An MCP client of bytes: sends exactly what it is given, keeps exactly what it receives.

    with RawClient(command, environment) as client:
        client.initialize("2025-06-18"); client.request("tools/list"); code = client.finish()

`client.sent` and `client.received` are the two streams as the client's side of the relay saw them.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.end_to_end.service import end_group

ANSWER_SECONDS = 30.0
EXIT_SECONDS = 20.0


class RawClient:
    """One run of `command`, most often `km-client monitor … -- SERVER`."""

    def __init__(self, command: list[str], environment: dict[str, str], *, cwd: Path | None = None) -> None:
        self.sent = bytearray()
        self.received = bytearray()
        self.errors = bytearray()
        self._ids = itertools.count(1)
        self._parsed_bytes = 0
        self._arrived = threading.Condition()
        self._open = 2  # stdout and stderr
        self._answers: dict[int | str, dict[str, Any]] = {}
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert self.process.stdout is not None and self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._drain, args=(self.process.stdout.fileno(), self.received), daemon=True),
            threading.Thread(target=self._drain, args=(self.process.stderr.fileno(), self.errors), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end_group(self.process)

    def send(self, data: bytes) -> None:
        """Write all of `data`, however long the other side takes to read it."""
        assert self.process.stdin is not None
        self.sent += data
        view = memoryview(data)
        while view:
            view = view[os.write(self.process.stdin.fileno(), view) :]

    def send_message(self, message: Any) -> None:
        self.send(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

    def request(self, method: str, params: dict[str, Any] | None = None, *, within: float = ANSWER_SECONDS) -> Any:
        """Send a request and wait for its answer, a result or an error."""
        number = next(self._ids)
        message = {"jsonrpc": "2.0", "id": number, "method": method}
        self.send_message(message if params is None else message | {"params": params})
        return self.answer(number, within=within)

    def answer(self, number: int | str, *, within: float = ANSWER_SECONDS) -> dict[str, Any]:
        """The answer with this id, when it has come."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._answer(number), within)
            found = self._answer(number)
        assert found, f"no answer to {number} within {within} s"
        return found

    def notify(self, method: str) -> None:
        self.send_message({"jsonrpc": "2.0", "method": method})

    def initialize(self, revision: str) -> Any:
        """The handshake of every revision before 2026-07-28; its answer."""
        client = {"name": "raw-client", "version": "0.1"}
        params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": client}
        answer = self.request("initialize", params)
        self.notify("notifications/initialized")
        return answer

    def call_tool(self, name: str, arguments: dict[str, Any]) -> Any:
        return self.request("tools/call", {"name": name, "arguments": arguments})

    def close_stdin(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the other side may have ended first
            self.process.stdin.close()

    def finish(self, *, within: float = EXIT_SECONDS) -> int:
        """Say the end of input, read to the end of output; the exit code."""
        self.close_stdin()
        return self.wait(within=within)

    def wait(self, *, within: float = EXIT_SECONDS) -> int:
        """Wait for the command to end by itself; the exit code."""
        code = self.process.wait(within)
        for reader in self._readers:
            reader.join(within)
        return code

    def _answer(self, number: int | str) -> dict[str, Any]:
        end = self.received.rfind(b"\n") + 1
        lines = bytes(self.received[self._parsed_bytes : end]).split(b"\n")
        self._parsed_bytes = max(end, self._parsed_bytes)
        for line in lines:
            with contextlib.suppress(ValueError):  # servers print other things too
                self._keep(json.loads(line))
        found = self._answers.get(number, {})
        assert found or self._open, f"it ended with {self.process.poll()}: {self.errors.decode(errors='replace')}"
        return found

    def _keep(self, message: Any) -> None:
        for found in message if isinstance(message, list) else [message]:
            if isinstance(found, dict) and "method" not in found and "id" in found:
                self._answers[found["id"]] = found

    def _drain(self, descriptor: int, into: bytearray) -> None:
        with contextlib.suppress(OSError):  # closed by the test's end
            while data := os.read(descriptor, 65536):
                with self._arrived:
                    into += data
                    self._arrived.notify_all()
        with self._arrived:
            self._open -= 1
            self._arrived.notify_all()
