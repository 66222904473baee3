"""How fast the embedded service takes events in, over HTTP, durably: `scripts/bench ingestion`.

Starts a real `manage.py serve` on SQLite (`synchronous=FULL`) in a new directory, makes an Enterprise customer by the
management command, and sends what a client sends: batches of 100 messages of about 600 bytes, zstd, then single events
over many connections. Everything runs on this machine at once: server, worker and load. An event counts when its 200
has arrived. Afterwards the store is read and compared, id by id, with what was sent.

The last line is one JSON object; every name carries its unit.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import zstandard

from benchmarks._event_load import Load, Messages, Sent
from benchmarks._machine import machine

ROOT = Path(__file__).resolve().parent.parent
DRAIN_TIMEOUT_SECONDS = 120.0
STOP_TIMEOUT_SECONDS = 15.0
BATCH_EVENTS = 100
BATCH_CONNECTIONS = 8
SINGLE_CONNECTIONS = 24
REFERENCE_ROWS = 2_000
TARGETS = {"batch": 15_000, "single": 1_200}


@dataclass(frozen=True)
class Service:
    """A running `manage.py serve`, its customer's key, and its database."""

    address: tuple[str, int]
    key: str
    web: psutil.Process
    worker: psutil.Process
    database: Path

    def cpu_seconds(self, process: psutil.Process) -> float:
        """User and system time of `process` and its children so far."""
        times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
        return sum(time.user + time.system for time in times)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the service's database, read beside it."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(query).fetchall()


@contextmanager
def service(directory: Path) -> Iterator[Service]:
    """Start the service with everything of its own in `directory`, and stop it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KM_")}
    environment |= {"KM_DATA_DIR": str(directory), "KM_LOG_LEVEL": "WARNING"}
    manage = [sys.executable, str(ROOT / "manage.py")]
    serve = subprocess.Popen(
        [*manage, "serve", "--port", "0", "--json"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert serve.stdout is not None
        ready = json.loads(serve.stdout.readline())
        arguments = ["create_customer", "--name", "Benchmark", "--tier", "enterprise", "--email", "bench@bench.example"]
        made = subprocess.run(
            [*manage, *arguments, "--json"], env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        host, port = ready["url"].removeprefix("http://").rsplit(":", 1)
        yield Service(
            (host, int(port)),
            json.loads(made.stdout)["api_key"],
            psutil.Process(ready["web"]),
            psutil.Process(ready["worker"]),
            directory / "kilometers.sqlite3",
        )
    finally:
        serve.terminate()
        serve.wait(STOP_TIMEOUT_SECONDS)


def send(running: Service, bodies: list[tuple[list[str], bytes]], encoding: str, connections: int) -> Sent:
    """One phase: `bodies` with the ids in each, all of one length, until they are drained."""
    sent = Sent()
    load = Load(running.address, running.key)
    requests = [load.request(body, encoding=encoding) for _, body in bodies]
    each = len(bodies[0][0])
    sent.ids.update(event_id for ids, _ in bodies for event_id in ids)
    web, worker = running.cpu_seconds(running.web), running.cpu_seconds(running.worker)
    begun = time.perf_counter()
    load.run(requests, each, connections, sent)
    sent.web_cpu_seconds = running.cpu_seconds(running.web) - web
    await_drained(running)
    sent.drained_seconds = time.perf_counter() - begun
    sent.worker_cpu_seconds = running.cpu_seconds(running.worker) - worker
    return sent


def await_drained(running: Service) -> None:
    """Until the inbox is empty."""
    deadline = time.monotonic() + DRAIN_TIMEOUT_SECONDS
    while running.ask("SELECT EXISTS (SELECT 1 FROM events_inboxentry)") != [(0,)]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the inbox was not drained within {DRAIN_TIMEOUT_SECONDS:.0f} s")
        time.sleep(0.02)


def batches(messages: Messages, count: int) -> list[tuple[list[str], bytes]]:
    """Bodies of `BATCH_EVENTS` events, zstd."""
    compressor = zstandard.ZstdCompressor(level=3)
    made = []
    for _ in range(count):
        ids, texts = messages.take(BATCH_EVENTS)
        made.append((ids, compressor.compress(f'{{"events":[{",".join(texts)}]}}'.encode())))
    return made


def singles(messages: Messages, count: int) -> list[tuple[list[str], bytes]]:
    """Bodies of one event, as it is."""
    return [(ids, texts[0].encode()) for ids, texts in (messages.take(1) for _ in range(count))]


def reference(directory: Path, body: bytes) -> float:
    """Commits a second of one such row by SQLite alone, `synchronous=FULL`, one by one: the disk's own pace."""
    with closing(sqlite3.connect(directory / "reference.sqlite3", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, body BLOB)")
        begun = time.perf_counter()
        for _ in range(REFERENCE_ROWS):
            connection.execute("INSERT INTO row (body) VALUES (?)", (body,))
        return REFERENCE_ROWS / (time.perf_counter() - begun)


def figures(name: str, sent: Sent) -> dict[str, float]:
    """What one phase measured, each with its unit."""
    quantiles = statistics.quantiles(sent.milliseconds, n=100)
    return {
        f"{name}_acked_events_per_s": round(sent.acked / sent.seconds),
        f"{name}_target_events_per_s": TARGETS[name],
        f"{name}_acked_and_drained_events_per_s": round(sent.acked / sent.drained_seconds),
        f"{name}_request_p50_ms": round(quantiles[49], 2),
        f"{name}_request_p99_ms": round(quantiles[98], 2),
        f"{name}_web_cpu_us_per_event": round(sent.web_cpu_seconds / sent.acked * 1e6, 1),
        f"{name}_worker_cpu_us_per_event": round(sent.worker_cpu_seconds / sent.acked * 1e6, 1),
    }


def main() -> int:
    """Run both phases; exit with 1 when anything was lost or stored twice."""
    parser = argparse.ArgumentParser(prog="scripts/bench ingestion", description="Ingestion on SQLite FULL.")
    parser.add_argument("--batches", type=int, default=1_500, help="batches of 100 events")
    parser.add_argument("--singles", type=int, default=10_000, help="single events")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="km-bench-") as name, service(Path(name)) as running:
        messages = Messages(seed=8318)
        send(running, batches(messages, 20), "zstd", BATCH_CONNECTIONS)  # warm: imports, caches, the key's proof
        warm = int(running.ask("SELECT COUNT(*) FROM events_event")[0][0])
        batch = send(running, batches(messages, options.batches), "zstd", BATCH_CONNECTIONS)
        one = singles(messages, options.singles)
        single = send(running, one, "", SINGLE_CONNECTIONS)
        stored = {str(UUID(row[0])) for row in running.ask("SELECT id FROM events_event")}
        rows = int(running.ask("SELECT COUNT(*) FROM events_event")[0][0]) - warm
        sent = batch.ids | single.ids
        intact = sent <= stored and rows == len(sent) and not batch.failed + single.failed
        result = {
            **figures("batch", batch),
            **figures("single", single),
            "reference_sqlite_commits_per_s": round(reference(Path(name), one[0][1])),
            "sent_events": len(sent),
            "stored_events": rows,
            "lost_events": len(sent - stored),
            "sent_equals_stored": intact,
            "machine": machine() | {"sqlite": sqlite3.sqlite_version},
        }
    print(json.dumps(result))
    return 0 if intact else 1


if __name__ == "__main__":
    sys.exit(main())
