"""How fast the service takes events in, over HTTP, durably, and what that costs: `scripts/bench ingestion`.

In one run, on one machine, each started here on loopback in a new directory, with the load on the same cores:

    embedded      `manage.py serve` on SQLite, `synchronous=FULL`
    production    `manage.py serve --production` on PostgreSQL with `fsync` on and Redis: accepting alone, draining
                  alone, both, single events, and again with ten times the events and customers; then `kill -9`
    peers         bugsink and arize-phoenix from PyPI with as many messages, and what is left of them after `kill -9`

Sent is what a client sends: messages of about 600 bytes in batches of 100, zstd, or one by one. An event counts when
its 200 has arrived. Afterwards the stores are compared, id by id, with what was sent.

The last line is one JSON object; every name carries its unit.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks import _ingestion_production, _service_peers
from benchmarks._ingestion_phases import Phase, Traffic, compared, warm
from benchmarks._machine import machine
from benchmarks._service import embedded, keys, production
from tests.end_to_end.production_servers import are_installed

REFERENCE_ROWS = 2_000
EMBEDDED, PRODUCTION, PEERS = "embedded", "production", "peers"
TARGETS = {
    "embedded_batch_acked_events_per_s": 15_000,
    "embedded_single_acked_events_per_s": 1_200,
    "production_acked_events_per_s": 25_000,
    "production_drained_events_per_s": 10_000,
    "production_sustained_events_per_s": 6_000,
}


def measure_embedded(directory: Path, *, batches: int, singles: int) -> dict[str, Any]:
    """Both kinds of load on SQLite, and the disk's own pace beside them."""
    with embedded(directory) as running:
        traffic = Traffic(keys(running, 1))
        warm(running, traffic)
        batch = Phase(running, traffic.batches(batches)).drained()
        one = traffic.singles(singles)
        single = Phase(running, one).drained()
        return {
            "batch": batch.whole(),
            "single": single.whole(),
            "reference_sqlite_commits_per_s": round(reference(directory, one[0].data)),
            **compared(running, traffic.sent, [batch, single]),
        }


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


def run(parts: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    """Each of `parts`, one after the other, in a directory of its own."""
    result: dict[str, Any] = {"benchmark": "ingestion"}
    size = {"batches": options.batches, "singles": options.singles}
    for part in parts:
        print(f"{part} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="km-bench-") as name:
            if part == EMBEDDED:
                result[part] = measure_embedded(Path(name), **size)
            elif part == PRODUCTION:
                with production(Path(name)) as running:
                    result[part] = _ingestion_production.measure(running, **size)
                    result[part]["postgresql"] = running.ask("SHOW server_version")[0][0]
            else:
                result[part] = _service_peers.measure(Path(name), messages=options.peer_messages)
    return {**result, "targets": TARGETS, "machine": machine() | {"sqlite": sqlite3.sqlite_version}}


def main() -> int:
    """Run what was asked for; exit with 1 when anything of ours was lost or stored twice."""
    parser = argparse.ArgumentParser(prog="scripts/bench ingestion", description="Accepting events, and storing them.")
    parser.add_argument("--batches", type=int, default=500, help="batches of 100 events, in each phase (default 500)")
    parser.add_argument("--singles", type=int, default=5_000, help="single events, in each phase (default 5000)")
    parser.add_argument("--peer-messages", type=int, default=1_000, help="for each peer, twice (default 1000)")
    parser.add_argument("--only", choices=[EMBEDDED, PRODUCTION, PEERS], action="append", help="may be repeated")
    options = parser.parse_args()
    parts = options.only or [EMBEDDED, PRODUCTION, PEERS]
    if PRODUCTION in parts and not are_installed():
        raise SystemExit("error: production needs PostgreSQL and Redis\nhint: apt-get install postgresql redis-server")
    result = run(parts, options)
    print(json.dumps(result))
    return 0 if all(result[part]["sent_equals_stored"] for part in parts if part != PEERS) else 1


if __name__ == "__main__":
    sys.exit(main())
