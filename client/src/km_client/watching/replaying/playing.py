"""`monitor --debug-replay FILE`: a script in the client's place. Standard library only; nothing of it loads without it.

    the script ──▶ a pipe that is now our stdin ──▶ relay ──▶ server
    our stdout ◀── copied, and looked at for answers ◀── relay ◀──┘

So the relay, the recording and everything behind them see what they would see of a real client. After the last message
the script waits for the answers it asked for, then leaves as a client does: it closes stdin.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable

from km_client.errors import ClientError
from km_client.proxy.framing import Frame, FrameSplitter
from km_client.watching.replaying.script import Step, parse

STDIN, STDOUT = 0, 1
READ_BYTES = 64 * 1024
ANSWER_SECONDS = 30.0  # for the last answers; a tool that takes longer is worth a `DELAY:` at the end of the script
LONGEST_WAIT_SECONDS = 3_600.0  # at once: after it comes the next one; a lock takes no more than some centuries
COPY_SECONDS = 5.0  # for a reader of stdout that is slow


def load(path: str) -> list[Step]:
    """The script. Raises `ClientError` that names the file, or the line in it, that is wrong."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - `pathlib` is not loaded yet
            content = file.read()
    except OSError as error:
        message = f"--debug-replay: {path} cannot be read: {error.strerror}"
        raise ClientError("no_script", message, "give a script: one JSON-RPC message a line", exit_code=2) from None
    return parse(content, path)


class Player:
    """Made before the server is started; `begin` after that, `end` when the relay is done."""

    def __init__(self, path: str, say: Callable[[str], None]) -> None:
        self._path = path
        self._steps = load(path)
        self._say = say
        self._unanswered: set[str] = set()
        self._changed = threading.Condition()
        self._is_over = False

    def begin(self) -> None:
        """Take the places of stdin and stdout."""
        heard, self._out = _pipe(), os.dup(STDOUT)
        their_stdin, self._in = os.pipe()
        os.dup2(their_stdin, STDIN)
        os.dup2(heard[1], STDOUT)
        os.close(their_stdin)
        os.close(heard[1])
        self._copier = threading.Thread(target=self._copy, args=(heard[0],), daemon=True)
        self._copier.start()
        threading.Thread(target=self._play, daemon=True).start()

    def end(self) -> None:
        """Let everything that the server said reach our stdout."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, STDOUT)  # the last descriptor of what is copied: now it has an end
        self._copier.join(COPY_SECONDS)

    def _play(self) -> None:
        played = 0
        try:
            for step in self._steps:
                self._wait(step.delay)
                if step.from_client:
                    self._ask(step)
                    _write(self._in, step.line + b"\n")
                    played += 1
        except OSError:  # the server reads no more: nobody is there to play to
            self._say(f"--debug-replay: {self._path}, line {step.number}: the server reads no more")
        passed = len(self._steps) - played
        unanswered = self._await_answers()
        words = f"played {played} message{'' if played == 1 else 's'} of {self._path}"
        words += f", passed over {passed} of the server's" if passed else ""
        self._say(words + (f"; {unanswered} {'was' if unanswered == 1 else 'were'} not answered" if unanswered else ""))
        os.close(self._in)

    def _wait(self, seconds: float) -> None:
        """Until then, or until the server is gone."""
        until = time.monotonic() + seconds
        with self._changed:
            while not self._is_over and (left := until - time.monotonic()) > 0:
                self._changed.wait(min(left, LONGEST_WAIT_SECONDS))

    def _await_answers(self) -> int:
        until = time.monotonic() + ANSWER_SECONDS
        with self._changed:
            while self._unanswered and not self._is_over and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            return len(self._unanswered)

    def _ask(self, step: Step) -> None:
        with self._changed:
            for one in step.message if isinstance(step.message, list) else [step.message]:
                if isinstance(one, dict) and "method" in one and one.get("id") is not None:
                    self._unanswered.add(json.dumps(one["id"]))

    def _copy(self, source: int) -> None:
        splitter = FrameSplitter()
        try:
            while chunk := os.read(source, READ_BYTES):
                _write(self._out, chunk)
                self._look_at(splitter.feed(chunk))
        except OSError:  # whoever read our stdout is gone: the relay learns it by its own next write
            os.close(source)
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _look_at(self, lines: list[Frame]) -> None:
        for line in lines:
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                continue  # a line of something else
            with self._changed:
                for one in message if isinstance(message, list) else [message]:
                    if isinstance(one, dict) and "method" not in one:
                        self._unanswered.discard(json.dumps(one.get("id")))
                self._changed.notify_all()


def _pipe() -> tuple[int, int]:
    """A way for bytes that ends when its one writer is closed: a pipe may be opened again by the relay."""
    if sys.platform == "win32":
        return os.pipe()
    reader, writer = socket.socketpair()
    return reader.detach(), writer.detach()


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
