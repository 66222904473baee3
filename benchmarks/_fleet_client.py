"""One simulated laptop: a session in the relay's own journal, shipped by the agent's own tracker and delivery.

    client = Client(directory, Destination(url, key))
    client.record(); client.turn()          what the relay does at a message, what the agent does ten times a second
    client.expected                         the id of every recorded event, worked out from the journal's moments alone
    client.close()

Nothing of it is written for this: reading the journal, understanding, redacting, logging, batching, compressing,
tokens, retries, backing off and obeying 429 and 503 are the client's code as installed.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

from km_client import __version__
from km_client.agent.delivery import Delivery, Destination
from km_client.agent.events import event_id
from km_client.agent.health import Health
from km_client.agent.local_log import LocalLog
from km_client.agent.redaction import RedactionRules, Redactor
from km_client.agent.refusals import RefusalStore
from km_client.agent.tracker import tracker_for
from km_client.capture.recording import Recording
from km_client.capture.spool import SessionSpool
from km_protocol.envelope import uuid7

from benchmarks._event_load import TOOLS, WORDS

LOG_BYTES = 1024 * 1024  # of the local log: a laptop keeps 64 times as much, but has this disk for itself


class Sample(NamedTuple):
    """One recorded event that is followed to the server."""

    event_id: str
    sequence: int
    recorded_at: float  # Unix time, seconds


class Client:
    """Not for two threads; its delivery has one of its own."""

    def __init__(self, directory: Path, destination: Destination) -> None:
        self.expected: list[str] = []
        self.ack_seconds: list[float] = []
        self._samples: deque[Sample] = deque()
        self._run = str(uuid7(time.time_ns() // 1_000_000, os.urandom(10)))
        session = _description(self._run)
        self._recording = Recording(
            directory / "journal" / self._run, session, on_failure=_fail, on_rotation=lambda: None
        )
        self._recording.start()
        self._log = LocalLog(directory / "log", LOG_BYTES)
        self._delivery = Delivery(destination, RefusalStore(directory / "refused"), wake=lambda: None)
        spool = SessionSpool(self._recording.directory)
        redactor = Redactor(RedactionRules())
        self._tracker = tracker_for(spool, directory / "checkpoints", redactor, self._log, lambda _: None)
        self._words = " ".join(random.choices(WORDS, k=60))
        self._delivery.start()

    def record(self, *, sampled: bool = False) -> Sample | None:
        """The next message of the session: a call, or its result. The sample, if it is to be one."""
        sequence, is_answer = len(self.expected), len(self.expected) % 2 == 1
        journal = self._recording.response if is_answer else self._recording.request
        unix_ns = time.time_ns()
        journal.append(self._line(sequence // 2, is_answer=is_answer), time.monotonic_ns(), unix_ns)
        self.expected.append(event_id(self._run, sequence, unix_ns))
        if not sampled:
            return None
        sample = Sample(self.expected[-1], sequence, unix_ns / 1e9)
        self._samples.append(sample)
        return sample

    def turn(self) -> bool:
        """One piece of the agent's work; whether there was any."""
        worked = self._tracker.advance(self._delivery.outbox)
        if self._samples:
            settled = self._tracker.position.sequence - self._tracker.waiting_events
            while self._samples and self._samples[0].sequence < settled:
                self.ack_seconds.append(time.time() - self._samples.popleft().recorded_at)
        return worked

    @property
    def unsettled(self) -> int:
        """Recorded, and neither acknowledged nor refused yet."""
        return len(self.expected) - self._tracker.position.sequence + self._tracker.waiting_events

    @property
    def health(self) -> Health:
        return self._delivery.health

    def close(self) -> None:
        self._delivery.stop(timeout=5.0)
        self._log.close()

    def _line(self, number: int, *, is_answer: bool) -> bytes:
        tool = TOOLS[number % len(TOOLS)]
        content = {"content": [{"type": "text", "text": self._words}], "isError": False}
        params = {"name": tool, "arguments": {"query": self._words}}
        body = {"result": content} if is_answer else {"method": "tools/call", "params": params}
        return json.dumps({"jsonrpc": "2.0", "id": number, **body}).encode() + b"\n"


def _description(run: str) -> dict[str, object]:
    """What the relay writes into `session.json`."""
    return {
        "version": 1,
        "session_id": run,
        "server_name": "git",
        "command": ["mcp-server-git"],
        "cwd": "/",
        "pid": os.getpid(),
        "started_at_ns": time.time_ns(),
        "client_version": __version__,
        "local_only": False,
        "api_url": None,
        "api_key": None,
        "plugins": [],
        "debug": False,
    }


def _fail(error: OSError) -> None:
    raise error
