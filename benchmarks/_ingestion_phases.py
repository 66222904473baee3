"""The phases of the ingestion benchmark: what is sent, and what was measured of it, each figure with its unit."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import zstandard

from benchmarks._event_load import Load, Messages, Sent
from benchmarks._service import Service, await_drained, stored_ids

BATCH_EVENTS = 100
BATCH_CONNECTIONS = 8
SINGLE_CONNECTIONS = 24
WARM_BATCHES = 100  # imports, caches, and with up to as many customers each key's proof


class Body(NamedTuple):
    """One request's: whose, the ids in it, its bytes and their encoding."""

    key: str
    ids: list[str]
    data: bytes
    encoding: str


class Traffic:
    """Messages of several customers, each in sessions of its own. Remembers every id it made."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.sent: set[str] = set()
        self._customers = [(key, Messages(seed=number)) for number, key in enumerate(keys)]
        self._compressor = zstandard.ZstdCompressor(level=3)

    def batches(self, count: int) -> list[Body]:
        """Bodies of `BATCH_EVENTS` events, zstd, of one customer after the other."""
        return [self._made(number, BATCH_EVENTS) for number in range(count)]

    def singles(self, count: int) -> list[Body]:
        """Bodies of one event, as it is."""
        return [self._made(number, 1) for number in range(count)]

    def _made(self, number: int, events: int) -> Body:
        key, messages = self._customers[number % len(self._customers)]
        ids, texts = messages.take(events)
        self.sent.update(ids)
        if events == 1:
            return Body(key, ids, texts[0].encode(), "")
        return Body(key, ids, self._compressor.compress(f'{{"events":[{",".join(texts)}]}}'.encode()), "zstd")


class Phase:
    """One load: its requests, then (by `drained`) the rest of what the service does with them.

    `cpu` is what each part of the service used until the last answer, `drain_cpu` from then to an empty inbox, and
    `generator_cpu` what the load itself cost, all in seconds.
    """

    def __init__(self, running: Service, bodies: Sequence[Body]) -> None:
        each, connections = len(bodies[0].ids), BATCH_CONNECTIONS if len(bodies[0].ids) > 1 else SINGLE_CONNECTIONS
        requests = [Load.request(body.data, body.key, encoding=body.encoding) for body in bodies]
        self.sent = Sent(body_bytes=sum(len(body.data) for body in bodies))
        self._running = running
        before, own, begun = running.cpu(), time.process_time(), time.perf_counter()
        Load(running.address).run(requests, each, connections, self.sent)
        self.generator_cpu = time.process_time() - own
        self._after = running.cpu()
        self.cpu = since(before, self._after)
        self._begun = begun
        self.drain_cpu: dict[str, float] = {}
        self.drained_seconds = 0.0

    def drained(self) -> Phase:
        """Wait for the inbox to be empty."""
        await_drained(self._running)
        self.drained_seconds = time.perf_counter() - self._begun
        self.drain_cpu = since(self._after, self._running.cpu())
        return self

    def accepting(self) -> dict[str, float]:
        """What the answers took."""
        sent, quantiles = self.sent, statistics.quantiles(self.sent.milliseconds, n=100)
        return {
            "acked_events_per_s": round(sent.acked / sent.seconds),
            "request_p50_ms": round(quantiles[49], 2),
            "request_p99_ms": round(quantiles[98], 2),
            "body_bytes_per_event": round(sent.body_bytes / max(1, sent.acked)),
            "generator_cpu_us_per_event": round(self.generator_cpu / max(1, sent.acked) * 1e6, 1),
        }

    def whole(self) -> dict[str, Any]:
        """What it took to accept and to drain, all at once."""
        cpu = {name: seconds + self.drain_cpu[name] for name, seconds in self.cpu.items()}
        return {
            **self.accepting(),
            "acked_and_drained_events_per_s": round(self.sent.acked / self.drained_seconds),
            "cpu_us_per_event": micros(cpu, self.sent.acked),
        }


def since(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was used in between, by part."""
    return {name: seconds - before[name] for name, seconds in after.items()}


def micros(cpu: Mapping[str, float], events: int) -> dict[str, float]:
    """Seconds of each part as microseconds an event."""
    return {name: round(seconds / max(1, events) * 1e6, 1) for name, seconds in cpu.items()}


def warm(running: Service, traffic: Traffic) -> None:
    """Not measured, but counted among what was sent."""
    Phase(running, traffic.batches(WARM_BATCHES)).drained()


def compared(running: Service, sent: set[str], phases: Iterable[Phase], where: str = "TRUE") -> dict[str, Any]:
    """What is stored beside what was sent, id by id. Says on stderr what is wrong."""
    stored = stored_ids(running, where)
    once, failed = set(stored), sum(phase.sent.failed for phase in phases)
    result = {
        "sent_events": len(sent),
        "stored_events": len(stored),
        "lost_events": len(sent - once),
        "stored_twice_events": len(stored) - len(once),
        "never_sent_events": len(once - sent),
        "refused_events": failed,
    }
    wrong = {name: count for name, count in result.items() if count and name not in {"sent_events", "stored_events"}}
    if wrong:
        print(f"error: {running.kind}: stored is not what was sent: {wrong}", file=sys.stderr)
    return {**result, "sent_equals_stored": not wrong}
