"""Many laptops at once, with the client's own shipper: `scripts/bench fleet`.

Each of `--clients` records a session into a journal as the relay does, and ships it as the agent does: reading,
understanding, redacting, batching, compressing, tokens, back-off and 429 and 503 are the client's code, not a copy of
it (`_fleet_client.py`). Several clients share a process, and the pace is even: a journal is asked ten times a second
what is new, and a batch waits a second for company, as on a laptop. The service is started here (embedded, or with
`--production` on PostgreSQL and Redis), or is the one at `--url`, of which only its answers are known.

Ends when everything recorded is acknowledged and, of a service of its own, stored: sent is then compared with stored,
id by id, from the journals' own moments. Exits with 1 when anything was lost, refused or stored twice.

The last line is one JSON object; every name carries its unit.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks._fleet_process import Orders, Process, Report
from benchmarks._ingestion_phases import micros, since
from benchmarks._machine import machine
from benchmarks._service import METRICS_TOKEN, Service, await_drained, embedded, keys, production, stored_ids, url

LOOK_SECONDS = 0.1  # how exactly "stored" is known
CUSTOMERS = 20  # whose laptops they are, of a service started here
COUNTED = re.compile(r'^km_http_requests_total\{(?=[^}]*route="([^"]*)")[^}]*\} ([0-9.e+]+)$', re.MULTILINE)


class Latency:
    """From the moment a sample was recorded to the first look that finds it stored."""

    def __init__(self, running: Service) -> None:
        self.seconds: list[float] = []
        self._running = running
        self._pending: dict[str, float] = {}

    def look(self, samples: list[tuple[str, float]]) -> None:
        """Take new samples and look for those that are pending."""
        self._pending |= dict(samples)
        if not self._pending:
            return
        wanted = ", ".join(f"'{self._written(event_id)}'" for event_id in self._pending)
        found = self._running.ask(f"SELECT id FROM events_event WHERE id IN ({wanted})")
        now = time.time()
        for (event_id,) in found:
            recorded_at = self._pending.pop(str(UUID(str(event_id))), None)
            if recorded_at is not None:
                self.seconds.append(now - recorded_at)

    def _written(self, event_id: str) -> str:
        """As the database has it: SQLite keeps the digits alone."""
        return event_id.replace("-", "") if self._running.kind == "embedded" else event_id


def start(directory: Path, options: argparse.Namespace, address: str, api_keys: list[str]) -> list[Process]:
    """The fleet, divided among the processes as evenly as it can be."""
    made = []
    for number in range(options.processes):
        clients = len(range(number, options.clients, options.processes))
        orders = Orders(
            directory=str(directory / f"fleet-{number}"),
            url=address,
            keys=api_keys[number % len(api_keys) :] + api_keys[: number % len(api_keys)],
            clients=clients,
            seconds=options.seconds,
            events_per_second=options.events_per_second * clients / options.clients,
            settle_seconds=options.settle_seconds,
        )
        made.append(Process(orders))
    return made


def watch(processes: list[Process], look: Callable[[list[tuple[str, float]]], None]) -> list[Report]:
    """Until all have ended. Raises `RuntimeError` if one failed; then none is left running."""
    try:
        while not all(process.has_ended for process in processes):
            look([sample for process in processes for sample in process.samples()])
            time.sleep(LOOK_SECONDS)
        look([sample for process in processes for sample in process.samples()])
        return [process.report() for process in processes]
    finally:
        for process in processes:
            process.end()


def told(reports: list[Report]) -> dict[str, Any]:
    """What the clients say of themselves."""
    recorded = sum(len(report.expected) for report in reports)
    acks = [seconds for report in reports for seconds in report.ack_seconds]
    return {
        "recorded_events": recorded,
        "recorded_events_per_s": round(recorded / max(report.recording_seconds for report in reports)),
        "acked_events": sum(report.acked for report in reports),
        "sent_again_events": sum(report.duplicates for report in reports),
        "refused_events": sum(report.refused for report in reports),
        "backlog_at_end_events": sum(report.backlog_events for report in reports),
        "unsettled_events": sum(report.unsettled_events for report in reports),
        "recorded_to_acked": spread(acks),
        "generator_cpu_us_per_event": round(sum(report.cpu_seconds for report in reports) / recorded * 1e6, 1),
        "said_while_waiting": sorted({reason for report in reports for reason in report.waits}),
    }


def spread(seconds: list[float]) -> dict[str, float]:
    """Median and 99th percentile, in ms, of how many."""
    if len(seconds) < 2:
        return {"samples": len(seconds)}
    cuts = statistics.quantiles(seconds, n=100)
    return {"samples": len(seconds), "p50_ms": round(cuts[49] * 1000), "p99_ms": round(cuts[98] * 1000)}


def requests_by_route(running: Service) -> dict[str, float]:
    """Answered requests so far, from the service's own `/metrics`."""
    asked = urllib.request.Request(f"{url(running)}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    with urllib.request.urlopen(asked, timeout=30) as response:
        page = response.read().decode()
    counts: dict[str, float] = {}
    for route, value in COUNTED.findall(page):
        counts[route] = counts.get(route, 0.0) + float(value)
    return counts


def against_own(directory: Path, options: argparse.Namespace, running: Service) -> dict[str, Any]:
    """The fleet and a service of this run: what both did, and whether sent is stored."""
    api_keys = keys(running, min(CUSTOMERS, options.clients))
    latency, before, asked = Latency(running), running.cpu(), requests_by_route(running)
    reports = watch(start(directory, options, url(running), api_keys), latency.look)
    await_drained(running)
    latency.look([])
    cpu, answered = since(before, running.cpu()), happened(asked, requests_by_route(running))
    result = told(reports)
    expected = [event_id for report in reports for event_id in report.expected]
    stored = stored_ids(running)
    lost, extra = set(expected) - set(stored), set(stored) - set(expected)
    posts = answered.get("api/events", 0.0)
    return {
        "service": running.kind,
        **result,
        "recorded_to_stored": spread(latency.seconds),
        "event_requests": round(posts),
        "other_requests": round(sum(answered.values()) - posts),
        "events_per_request": round(len(expected) / max(1.0, posts), 1),
        "server_cpu_us_per_event": micros(cpu, len(expected)),
        "stored_events": len(stored),
        "lost_events": len(lost),
        "stored_twice_events": len(stored) - len(set(stored)),
        "never_sent_events": len(extra),
        "sent_equals_stored": sorted(expected) == sorted(stored),
    }


def happened(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Counts of what happened in between; a route may be new."""
    return {route: count - before.get(route, 0.0) for route, count in after.items()}


@contextmanager
def own(directory: Path, options: argparse.Namespace) -> Iterator[Service]:
    """The service that was asked for."""
    place = directory / "service"
    place.mkdir()
    with production(place) if options.production else embedded(place) as running:
        yield running


def main() -> int:
    """Drive the fleet; exit with 1 when anything was lost, refused or stored twice."""
    parser = argparse.ArgumentParser(prog="scripts/bench fleet", description="Many clients with the real shipper.")
    parser.add_argument("--clients", type=int, default=200, help="laptops, each with one session (default 200)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long they record (default 60)")
    parser.add_argument("--events-per-second", type=float, default=1_000.0, help="of all together (default 1000)")
    parser.add_argument("--processes", type=int, default=2, help="that the clients are divided among (default 2)")
    parser.add_argument("--settle-seconds", type=float, default=120.0, help="for what is left to be acknowledged")
    parser.add_argument("--production", action="store_true", help="PostgreSQL and Redis instead of SQLite")
    parser.add_argument("--url", help="a service that runs already, instead of one of its own")
    parser.add_argument("--api-key", action="append", help="for --url; may be repeated, and is handed round")
    options = parser.parse_args()
    if bool(options.url) != bool(options.api_key):
        parser.error("`--url` and `--api-key` go together")
    options.processes = max(1, min(options.processes, options.clients))
    with tempfile.TemporaryDirectory(prefix="km-bench-") as name:
        directory = Path(name)
        if options.url:
            reports = watch(start(directory, options, options.url, options.api_key), lambda _: None)
            result = {"service": options.url, **told(reports)}
        else:
            with own(directory, options) as running:
                result = against_own(directory, options, running)
    result |= {"benchmark": "fleet", "clients": options.clients, "processes": options.processes, "machine": machine()}
    print(json.dumps(result))
    intact = not result["unsettled_events"] + result["refused_events"] and result.get("sent_equals_stored", True)
    return 0 if intact else 1


if __name__ == "__main__":
    sys.exit(main())
