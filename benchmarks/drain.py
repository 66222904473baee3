"""How fast one worker stores what waits in the inbox: `scripts/bench drain`.

Fills the inbox of a new database with what clients send (batches of 100 messages of about 600 bytes, zstd, of several
customers, each in sessions of its own), then drains it by the worker's own code, in one process. Beside it the same
bodies are only decoded (the drain's own work without a database), and at last every tenth is delivered a second time.
The store is then compared with what was sent.

The last line is one JSON object; every name carries its unit.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import zstandard

from benchmarks._database import POSTGRESQL, SQLITE, database, server_cpu_seconds, set_up, version
from benchmarks._event_load import Messages
from benchmarks._machine import machine

BATCH_EVENTS = 100
TARGET_EVENTS_PER_S = 10_000
REPEATED = 10  # one body in so many is delivered a second time


def fill(bodies: list[bytes], customers: list[int]) -> None:
    """Put `bodies` into the inbox, from one customer after the other."""
    from core.clock import now  # noqa: PLC0415 - Django must be set up
    from events.models import InboxEntry  # noqa: PLC0415 - as above

    moment = now()
    rows = [
        InboxEntry(
            customer_id=customers[number % len(customers)],
            received_at=moment,
            kind="events",
            encoding="zstd",
            events=BATCH_EVENTS,
            skipped="",
            retry_at=moment,
            body=body,
        )
        for number, body in enumerate(bodies)
    ]
    InboxEntry.objects.bulk_create(rows, batch_size=500)


def drain_all(directory: Path) -> dict[str, float]:
    """Until the inbox is empty: what was stored, and what it cost."""
    from core.clock import now  # noqa: PLC0415 - Django must be set up
    from events.drain import Drained, drain  # noqa: PLC0415 - as above

    total = Drained()
    server, own, begun = server_cpu_seconds(directory), time.process_time(), time.perf_counter()
    while (step := drain(now=now())).rows:
        total += step
    seconds, own = time.perf_counter() - begun, time.process_time() - own
    server = server_cpu_seconds(directory) - server
    events = total.stored + total.duplicates
    return {
        "stored": total.stored,
        "duplicates": total.duplicates,
        "events_per_s": round(events / seconds),
        "worker_cpu_us_per_event": round(own / events * 1e6, 1),
        "database_cpu_us_per_event": round(server / events * 1e6, 1),
    }


def decode_all() -> float:
    """Events a second that one process decodes from the inbox, storing nothing: what a drain could do at most."""
    from events.models import InboxEntry  # noqa: PLC0415 - Django must be set up
    from events.stored_form import stored_form  # noqa: PLC0415 - as above

    entries = list(InboxEntry.objects.all()[:100])
    begun = time.perf_counter()
    events = sum(1 for entry in entries for _ in stored_form(entry))
    return events / (time.perf_counter() - begun)


def measure(batches: int, customers: int, directory: Path) -> dict[str, Any]:
    """Both drains over a new database."""
    from core.clock import now  # noqa: PLC0415 - Django must be set up
    from customers import accounts  # noqa: PLC0415 - as above
    from events.models import Event  # noqa: PLC0415 - as above

    made = [accounts.create_customer(f"Customer {number}", "enterprise", at=now()).pk for number in range(customers)]
    messages = [Messages(seed=number) for number in range(customers)]
    compressor, sent, bodies = zstandard.ZstdCompressor(level=3), set[str](), list[bytes]()
    for number in range(batches):
        ids, texts = messages[number % customers].take(BATCH_EVENTS)
        sent.update(ids)
        bodies.append(compressor.compress(f'{{"events":[{",".join(texts)}]}}'.encode()))
    fill(bodies, made)
    decoded = decode_all()
    first = drain_all(directory)
    again = range(0, len(bodies), REPEATED)
    fill([bodies[index] for index in again], [made[index % customers] for index in again])
    repeated = drain_all(directory)
    stored = {str(event_id) for event_id in Event.objects.values_list("id", flat=True)}
    return {
        "drained_events_per_s": first["events_per_s"],
        "target_events_per_s": TARGET_EVENTS_PER_S,
        "worker_cpu_us_per_event": first["worker_cpu_us_per_event"],
        "database_cpu_us_per_event": first["database_cpu_us_per_event"],
        "reference_decoded_events_per_s": round(decoded),
        "repeated_events_per_s": repeated["events_per_s"],
        "sent_events": len(sent),
        "stored_events": len(stored),
        "sent_equals_stored": stored == sent and not repeated["stored"],
    }


def main() -> int:
    """Measure; exit with 1 when anything was lost or stored twice."""
    parser = argparse.ArgumentParser(prog="scripts/bench drain", description="From the inbox to the store, one worker.")
    parser.add_argument("--database", choices=[POSTGRESQL, SQLITE], default=POSTGRESQL)
    parser.add_argument("--batches", type=int, default=2_000, help="batches of 100 events")
    parser.add_argument("--customers", type=int, default=10, help="whose batches they are")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="km-bench-") as name, database(options.database, Path(name)) as url:
        set_up(url, Path(name))
        result = measure(options.batches, options.customers, Path(name))
        result |= {"benchmark": "drain", "machine": machine() | {"database": version()}}
        from django.db import connections  # noqa: PLC0415 - after `set_up`

        connections.close_all()
    print(json.dumps(result))
    return 0 if result["sent_equals_stored"] else 1


if __name__ == "__main__":
    sys.exit(main())
