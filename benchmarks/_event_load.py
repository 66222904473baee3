"""Realistic events, and a load of requests that costs little itself: plain sockets, one thread, many connections."""

from __future__ import annotations

import json
import os
import random
import selectors
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from km_protocol.envelope import unix_milliseconds, uuid7

SESSION_EVENTS = 400
SILENCE_SECONDS = 60.0  # a server that answers nothing for so long is broken
TOOLS = ("git_log", "git_status", "git_diff_unstaged", "git_show", "git_branch")
WORDS = "commit author date merge branch fix test path file line head index tree refs origin main".split()  # noqa: SIM905


@dataclass
class Sent:
    """What one phase sent, and how it went. `seconds` is to the last answer; `milliseconds` are of each request."""

    ids: set[str] = field(default_factory=set)
    acked: int = 0
    failed: int = 0
    seconds: float = 0.0
    body_bytes: int = 0
    milliseconds: list[float] = field(default_factory=list)


class Messages:
    """An endless, realistic stream of events: calls and their results, in sessions, of about 600 bytes each."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._number = 0

    def take(self, count: int) -> tuple[list[str], list[str]]:
        """The next `count` events as JSON, and their ids."""
        ids, texts = [], []
        for _ in range(count):
            event_id, text = self._next()
            ids.append(event_id)
            texts.append(text)
        return ids, texts

    def _next(self) -> tuple[str, str]:
        number, self._number = self._number, self._number + 1
        moment = datetime.now(UTC)
        event_id = str(uuid7(unix_milliseconds(moment), os.urandom(10)))
        tool = TOOLS[number // 2 % len(TOOLS)]
        is_answer = number % 2 == 1
        words = " ".join(self._random.choices(WORDS, k=60))
        message = (
            {"jsonrpc": "2.0", "id": number, "result": {"content": [{"type": "text", "text": words}], "isError": False}}
            if is_answer
            else {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": tool, "arguments": words}}
        )
        event = {
            "id": event_id,
            "timestamp": moment.isoformat(),
            "type": "response" if is_answer else "request",
            "direction": "response" if is_answer else "request",
            "message": message,
            "session_id": f"bench-{os.getpid()}-{number // SESSION_EVENTS}",
            "sequence": number,
            "correlation_id": f"bench-{os.getpid()}-{number // 2}",
            "method": "tools/call",
            "tool": tool,
            "server_info": {"name": "git", "version": "1.2.0"},
            "client_info": {"name": "bench", "version": "1.0"},
        } | ({"duration_ms": round(self._random.lognormvariate(2, 1), 3)} if is_answer else {})
        return event_id, json.dumps(event)


class Load:
    """Requests over keep-alive connections, one at a time on each, from one thread: plain sockets, little CPU."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    @staticmethod
    def request(body: bytes, key: str, *, encoding: str = "") -> bytes:
        """The bytes of a request."""
        head = (
            f"POST /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        return (head + (f"Content-Encoding: {encoding}\r\n" if encoding else "") + "\r\n").encode() + body

    def run(self, requests: Sequence[bytes], events_each: int, connections: int, sent: Sent) -> None:
        """Send `requests`, keeping every connection busy, and count what is acknowledged."""
        waiting = iter(requests)
        begun = time.perf_counter()
        with selectors.DefaultSelector() as selector:
            for _ in range(connections):
                connection = socket.create_connection(self._address)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ, _Answer())
                self._send_next(connection, selector, waiting)
            while selector.get_map():
                ready = selector.select(timeout=SILENCE_SECONDS)
                if not ready:
                    raise TimeoutError(f"no answer for {SILENCE_SECONDS:.0f} s")
                for key, _ in ready:
                    if self._is_answered(key, events_each, sent):
                        self._send_next(key.fileobj, selector, waiting)
        sent.seconds = time.perf_counter() - begun

    @staticmethod
    def _is_answered(key: selectors.SelectorKey, events_each: int, sent: Sent) -> bool:
        """Read what arrived; whether the answer is complete, and counted."""
        connection, answer = key.fileobj, key.data
        assert isinstance(connection, socket.socket)
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("the server closed a connection in mid-answer")
        answer.data += part
        if not answer.is_complete():
            return False
        sent.milliseconds.append((time.perf_counter() - answer.begun) * 1000)
        if answer.accepted() == events_each:
            sent.acked += events_each
        else:
            sent.failed += events_each
            print(f"not accepted: {bytes(answer.data[:300])!r}", file=sys.stderr)
        return True

    @staticmethod
    def _send_next(connection: Any, selector: selectors.BaseSelector, waiting: Iterator[bytes]) -> None:
        request = next(waiting, None)
        if request is None:
            selector.unregister(connection)
            connection.close()
            return
        selector.modify(connection, selectors.EVENT_READ, _Answer())
        connection.sendall(request)


class _Answer:
    """The bytes of one answer, as they arrive."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.begun = time.perf_counter()

    def is_complete(self) -> bool:
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return False
        at = self.data.lower().find(b"content-length:", 0, end)
        length = int(self.data[at + 15 : self.data.find(b"\r\n", at)])
        return len(self.data) >= end + 4 + length

    def accepted(self) -> int:
        if not self.data.startswith(b"HTTP/1.1 200"):
            return -1
        answer = json.loads(self.data[self.data.find(b"\r\n\r\n") + 4 :])
        return int(answer["accepted"])
