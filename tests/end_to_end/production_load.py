"""Clients of a service under faults: each sends its batches until they are acknowledged, as `km-client` does.

    with Load(stack.address, key) as load:
        load.await_batches(50)
        stack.kill_9("web")
        load.await_batches(50)
    load.acknowledged   → the ids of every event the service has taken over

A part of what is sent is sent again after it was acknowledged, and each client's batches arrive out of their order.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

import zstandard

from tests.end_to_end.waiting import eventually
from tests.events.samples import an_event

SENDERS = 4
BATCH_EVENTS = 50
REPEATED = 0.1  # of the batches: as after an answer that was lost
TIMEOUT_SECONDS = 20
PATIENCE_SECONDS = 0.1  # instead of the 2 to 9 s that Retry-After asks for


@dataclass
class Answers:
    """What the service answered. `seconds` are of the requests it took over, `slowest` of all; `refusals` count by
    status, 0 for none."""

    seconds: list[float] = field(default_factory=list)
    refusals: dict[int, int] = field(default_factory=dict)
    without_retry_after: int = 0
    slowest: float = 0.0

    def percentile(self, share: float) -> float:
        """Of the answers with 200, in seconds."""
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))]


class Load:
    """`senders` clients that take `keys` in turn. One that does not `insist` never sends a refused batch again."""

    def __init__(
        self,
        address: tuple[str, int],
        *keys: str,
        senders: int = SENDERS,
        insist: bool = True,
        name: str = "s",
        batch_events: int = BATCH_EVENTS,
    ) -> None:
        self.acknowledged: set[str] = set()
        self.batches = 0
        self.offered = 0
        self.answers = Answers()
        self._address = address
        self._insist = insist
        self._batch_events = batch_events
        self._keys = keys
        self._stopping = threading.Event()
        self._mutex = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(name, number, senders)) for number in range(senders)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Each client ends with what it is sending: acknowledged, or given up when nobody answers any more."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def await_batches(self, more: int, *, within: float = 60.0) -> None:
        """Until `more` batches have been acknowledged from now on."""
        target = self.batches + more
        eventually(lambda: self.batches >= target, within=within, what=f"{more} more batches are acknowledged")

    def begin_anew(self) -> Answers:
        """What was answered so far; counting starts again."""
        with self._mutex:
            answers, self.answers = self.answers, Answers()
        return answers

    def _run(self, name: str, number: int, senders: int) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT_SECONDS)
        keys = itertools.cycle(self._keys[number::senders] or self._keys)
        for (body, ids), key in zip(batches(f"{name}{number}", self._batch_events), keys, strict=False):
            if self._stopping.is_set():
                break
            again = random.random() < REPEATED
            if self._send_until_acknowledged(connection, key, body, ids) and again:
                self._send(connection, key, body)
        connection.close()

    def _send_until_acknowledged(
        self, connection: http.client.HTTPConnection, key: str, body: bytes, ids: set[str]
    ) -> bool:
        self.offered += len(ids)
        while True:
            begun = time.perf_counter()
            status = self._send(connection, key, body)
            if status == 200:
                with self._mutex:
                    self.answers.seconds.append(time.perf_counter() - begun)
                    self.acknowledged |= ids
                    self.batches += 1
                return True
            if not self._insist or self._stopping.wait(PATIENCE_SECONDS):
                return False

    def _send(self, connection: http.client.HTTPConnection, key: str, body: bytes) -> int:
        headers = {"Authorization": f"Bearer {key}", "Content-Encoding": "zstd"}
        begun = time.perf_counter()
        try:
            connection.request("POST", "/api/events", body, headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self._note(0, None)
            return 0
        with self._mutex:
            self.answers.slowest = max(self.answers.slowest, time.perf_counter() - begun)
        if response.status == 200:
            assert not json.loads(answer)["rejected"], answer
        else:
            self._note(response.status, response.getheader("Retry-After"))
        return response.status

    def _note(self, status: int, retry_after: str | None) -> None:
        with self._mutex:
            self.answers.refusals[status] = self.answers.refusals.get(status, 0) + 1
            self.answers.without_retry_after += status in {429, 503} and not (retry_after or "").isdigit()


def batches(session: str, size: int) -> Iterator[tuple[bytes, set[str]]]:
    """Bodies and the ids in them, in pairs that change places."""
    while True:
        pair = [_batch(session, size), _batch(session, size)]
        random.shuffle(pair)
        yield from pair


def _batch(session: str, size: int) -> tuple[bytes, set[str]]:
    events: list[dict[str, Any]] = [an_event(session_id=session) for _ in range(size)]
    random.shuffle(events)
    text = json.dumps({"events": events}).encode()
    return zstandard.compress(text), {str(UUID(event["id"])) for event in events}
