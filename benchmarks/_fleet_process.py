"""Some of the fleet's clients in one process: they record at an even pace and ship, then ship what is left.

process = start(Orders(…)); process.samples() while it runs; report = process.report()
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from km_client.agent.delivery import Destination
from km_protocol.api_keys import parse

from benchmarks._fleet_client import Client

ROOT = Path(__file__).resolve().parent.parent
TURN_SECONDS = 0.1  # as the agent looks at its sessions while they live
SAMPLE_SECONDS = 2.0  # one event of each client so often is followed to the server
END_SECONDS = 60.0  # for a process to report, once its time is over


@dataclass(frozen=True)
class Orders:
    """What one process is to do. `keys` are handed round; `events_per_second` are of all its clients together."""

    directory: str
    url: str
    keys: list[str]
    clients: int
    seconds: float
    events_per_second: float
    settle_seconds: float


@dataclass
class Report:
    """What one process did. `backlog_events` waited when recording ended, `unsettled_events` when patience did."""

    expected: list[str] = field(default_factory=list)
    acked: int = 0
    duplicates: int = 0
    refused: int = 0
    backlog_events: int = 0
    unsettled_events: int = 0
    recording_seconds: float = 0.0
    cpu_seconds: float = 0.0
    ack_seconds: list[float] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)


class Process:
    """A running one. Its stdout is lines: one for each sample, at last the report."""

    def __init__(self, orders: Orders) -> None:
        command = [sys.executable, "-m", "benchmarks._fleet_process"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(orders)))
        self._process.stdin.close()
        self._samples: deque[tuple[str, float]] = deque()
        self._report: Report | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def samples(self) -> list[tuple[str, float]]:
        """(id, when it was recorded) of the samples since the last call."""
        return [self._samples.popleft() for _ in range(len(self._samples))]

    def end(self) -> None:
        """Kill it, if it still runs."""
        self._process.kill()
        self._process.wait()

    @property
    def has_ended(self) -> bool:
        return not self._reader.is_alive()

    def report(self) -> Report:
        """Wait for its end. Raises `RuntimeError` if it failed."""
        self._reader.join(END_SECONDS)
        code = self._process.wait(END_SECONDS)
        if self._report is None or code:
            raise RuntimeError(f"a process of the fleet ended with {code} and no report; see above")
        return self._report

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said: Any = json.loads(line)
            if isinstance(said, dict):
                self._report = Report(**said)
            else:
                self._samples.append((said[0], said[1]))


def main() -> int:
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    orders = Orders(**json.loads(sys.stdin.read()))
    keys = [parse(key) for key in orders.keys]
    clients = [
        Client(Path(orders.directory) / str(number), Destination(orders.url, keys[number % len(keys)]))
        for number in range(orders.clients)
    ]
    report = drive(clients, orders)
    for client in clients:
        client.close()
    report.cpu_seconds = time.process_time()
    print(json.dumps(asdict(report)), flush=True)
    return 0


def drive(clients: list[Client], orders: Orders) -> Report:
    """Record and ship for `seconds`, then ship until nothing waits or the patience ends."""
    begun, recorded, total = time.monotonic(), 0, int(orders.seconds * orders.events_per_second)
    sampled_at = [begun + SAMPLE_SECONDS * number / len(clients) for number in range(len(clients))]
    while recorded < total:
        round_begun = time.monotonic()
        due = min(total, int((round_begun - begun) * orders.events_per_second) + 1)
        while recorded < due:
            number, now = recorded % len(clients), time.monotonic()
            sample = clients[number].record(sampled=now >= sampled_at[number])
            if sample is not None:
                sampled_at[number] = now + SAMPLE_SECONDS
                print(json.dumps([sample.event_id, sample.recorded_at]), flush=True)
            recorded += 1
        _turn_all(clients)
        time.sleep(max(0.0, round_begun + TURN_SECONDS - time.monotonic()))
    report = Report(backlog_events=sum(client.unsettled for client in clients))
    report.recording_seconds = time.monotonic() - begun
    deadline = time.monotonic() + orders.settle_seconds
    while any(client.unsettled for client in clients) and time.monotonic() < deadline:
        _turn_all(clients)
        time.sleep(TURN_SECONDS)
    return _told(clients, report)


def _turn_all(clients: list[Client]) -> None:
    for client in clients:
        client.turn()


def _told(clients: list[Client], report: Report) -> Report:
    for client in clients:
        report.expected += client.expected
        report.ack_seconds += client.ack_seconds
        report.unsettled_events += client.unsettled
        report.acked += client.health.shipped
        report.duplicates += client.health.duplicates
        report.refused += client.health.refused
    report.waits = sorted({client.health.reason for client in clients if client.health.reason})
    return report


if __name__ == "__main__":
    sys.exit(main())
