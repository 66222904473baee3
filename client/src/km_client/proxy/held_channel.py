r"""The two directions of a stdio relay whose changed tools are held: whole lines, each judged before it goes on.

    hold = Hold(identity, say)
    relay(server, recording, hold)             `hold.channel` stands where `Channel` does

A line is passed on once its end has come, with the bytes it had, unless `holding` changes it; half a line says nothing
to either side. The recording has what each side sent, and, before it, a note of what was withheld. A line over 64 MiB
cannot be judged: it is not passed on, which is said, and noted. What no line feed ends is passed on at the end. From a
client that does not take our answers nothing more is read, as a server would do that answers a call before the next.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from time import monotonic_ns, time_ns
from typing import NamedTuple, Protocol

from km_client.capture.journal import REQUEST, DirectionJournal
from km_client.pinning.pins import Identity
from km_client.proxy.channel import CHUNK_BYTES, READABLE, Channel, Watch
from km_client.proxy.held_list import NOTE, may_list
from km_client.proxy.holding import Judge, Refusal

MAX_LINE_BYTES = 64 * 1024 * 1024


class Passed(NamedTuple):
    """What goes to the other side, what is recorded of this one, and what is answered in the other side's place."""

    content: bytes
    recorded: bytes
    refusals: list[Refusal]


class Output(Protocol):
    """What leads to the client: takes something of our own between two lines, and what is recorded about it."""

    def put(self, content: bytes, recorded: bytes) -> bool:
        """Whether some of it still has to wait for the client."""


class Hold:
    """One session's pair of channels, the client's made first."""

    def __init__(self, identity: Identity, say: Callable[[str], None]) -> None:
        self.judge = Judge(identity, say)
        self.say = say
        self.is_owing = False  # the client has not taken an answer of ours
        self._to_client: Output | None = None
        self._of_client: HeldChannel
        self._turn = threading.Lock()  # where each direction is a thread of its own

    def channel(
        self,
        source: int,
        sink: int,
        journal: DirectionJournal,
        watch: Watch,
        *,
        on_end: Callable[[], None],
        on_broken: Callable[[], None],
    ) -> HeldChannel:
        """In place of `Channel`."""
        made = HeldChannel(source, sink, journal, watch, on_end=on_end, on_broken=on_broken)
        made.hold, made.lines = self, Lines(self, is_clients=journal.direction == REQUEST)
        if journal.direction == REQUEST:
            self._of_client = made
        else:
            self._to_client = made
        return made

    def lines(self, to_client: Output, *, is_clients: bool) -> Lines:
        """One direction's lines, where there is no channel; what is refused is put into `to_client`."""
        self._to_client = to_client
        return Lines(self, is_clients=is_clients)

    def judged(self, lines: Lines, chunk: bytes, at_ns: int) -> Passed:
        """What goes on of `chunk`; of what no line feed ended, when it is empty."""
        with self._turn:
            return lines.feed(chunk, at_ns) if chunk else lines.end(at_ns)

    def refuse(self, refusals: list[Refusal]) -> None:
        """Answer the client in the server's place."""
        answers = [error + b"\n" if error else b"" for error, _ in refusals]
        if refusals and self._to_client:
            recorded = [note + b"\n" + answer for (_, note), answer in zip(refusals, answers, strict=True)]
            self.is_owing = self._to_client.put(b"".join(answers), b"".join(recorded)) or self.is_owing

    def paid(self) -> None:
        """The client has taken all."""
        if self.is_owing:
            self.is_owing = False
            self._of_client.go_on()


class Lines:
    """The bytes of one direction, as they may go on."""

    def __init__(self, hold: Hold, *, is_clients: bool) -> None:
        self._hold = hold
        self._is_clients = is_clients
        self._parts: list[bytes] = []
        self._size = 0
        self._is_skipping = False

    def pass_on(self, chunk: bytes, at_ns: int) -> tuple[bytes, bytes]:
        """What goes on, and what is recorded of it; what is refused is answered."""
        passed = self._hold.judged(self, chunk, at_ns)
        self._hold.refuse(passed.refusals)
        return passed.content, passed.recorded

    def feed(self, chunk: bytes, at_ns: int) -> Passed:
        """The lines that `chunk` completes."""
        complete, end, rest = chunk.rpartition(b"\n")
        if not end:
            return self._keep(chunk)
        lines = b"".join([*self._parts, complete, end])
        self._parts, self._size = [], 0
        if self._is_skipping:
            self._is_skipping = False
            _, _, lines = lines.partition(b"\n")
        passed = self._judged(lines, at_ns)
        if not rest:
            return passed
        more = self._keep(rest)
        return Passed(passed.content, passed.recorded + more.recorded, passed.refusals)

    def end(self, at_ns: int) -> Passed:
        """What no line feed ended."""
        rest = b"".join(self._parts)
        self._parts, self._size = [], 0
        return self._judged(rest, at_ns) if rest else Passed(b"", b"", [])

    def _keep(self, part: bytes) -> Passed:
        self._size += len(part)
        if self._is_skipping:
            return Passed(b"", b"", [])
        self._parts.append(part)
        if self._size <= MAX_LINE_BYTES:
            return Passed(b"", b"", [])
        self._parts, self._is_skipping = [], True
        self._hold.say(f"a line of more than {MAX_LINE_BYTES:,} bytes cannot be judged, and is not passed on")
        problem = {"problem": f"a line of more than {MAX_LINE_BYTES} bytes was not passed on"}
        return Passed(b"", json.dumps({"jsonrpc": "2.0", "method": NOTE, "params": problem}).encode() + b"\n", [])

    def _judged(self, lines: bytes, at_ns: int) -> Passed:
        judge = self._hold.judge
        if b"tools" not in lines if self._is_clients else not (judge.is_waiting or may_list(lines)):
            return Passed(lines, lines, [])
        content, recorded, refusals = [], [], []
        for line in _lines(lines):
            body = line.rstrip(b"\r\n")
            if self._is_clients:
                asked = judge.asked(body, at_ns)
                content.append(_ended(asked.forward, body, line))
                refusals += asked.refusals
                recorded.append(line)
            else:
                answer = judge.answered(body, at_ns)
                content.append(_ended(answer.content, body, line))
                recorded.append(answer.note + b"\n" + line if answer.note else line)
        return Passed(b"".join(content), b"".join(recorded), refusals)


class HeldChannel(Channel):
    """A channel that passes on what `lines` give."""

    hold: Hold
    lines: Lines

    def on_readable(self) -> bool:
        """Move what one read completes. Whether there was anything."""
        try:
            chunk = os.read(self._source, CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        read_at, read_at_unix = monotonic_ns(), time_ns()
        passed = self.hold.judged(self.lines, chunk, read_at_unix)
        if not chunk and not passed.recorded:
            self.close()
            self._on_end()
            return False
        self._send(passed.content)
        if passed.recorded:
            self._journal.append(passed.recorded, read_at, read_at_unix)
        self.hold.refuse(passed.refusals)
        self._wait_if_owed()
        return True

    def on_writable(self) -> None:
        """As in any channel; and who writes on only when it has its answers may do so now."""
        super().on_writable()
        if self._journal.direction == REQUEST:
            self._wait_if_owed()
        elif not self._held:
            self.hold.paid()

    def go_on(self) -> None:
        """Read from the client again."""
        if self._is_open and not self._held:
            self._watch.add(self._source, READABLE, self.on_readable)

    def put(self, content: bytes, recorded: bytes) -> bool:
        """Something of our own, between two lines."""
        if self._is_open:
            self._send(content)
        self._journal.append(recorded, monotonic_ns(), time_ns())
        return bool(self._held)

    def _wait_if_owed(self) -> None:
        """What would be refused next would have to be kept, without end, for a client that takes no answer."""
        if self.hold.is_owing and self._journal.direction == REQUEST and self._is_open and not self._held:
            self._watch.remove(self._source)

    def _send(self, content: bytes) -> None:
        if self._held:
            self._held = memoryview(bytes(self._held) + content)
            return
        try:
            written = os.write(self._sink, content) if content else 0
        except OSError:
            written = 0
        if written < len(content):
            self._hold(memoryview(content)[written:])


def _lines(data: bytes) -> list[bytes]:
    """Each with its line feed, and nothing else ends one."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _ended(content: bytes, body: bytes, line: bytes) -> bytes:
    """`content` with the line end that stood there; nothing at all in place of a line that is not passed on."""
    if content is body:
        return line
    return content + (line[len(body) :] or b"\n") if content else b""
