"""What measured figures say of a whole installation: the assumptions, in one place, and the arithmetic. Pure.

costs = Costs.of(ingestion)              of the result of `scripts/bench ingestion`
costs.at(10)                             {"web": 110.0, "worker": 51.0, …} CPU µs an event, in requests of 10 events
need = needed(100_000, costs, …)         events a second, processes, cores, bytes
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

SECONDS_A_DAY = 86_400
BATCH_EVENTS = 100  # of the measured batches
PEAK = 4.0  # the busiest hour beside the day's mean: office hours of a few time zones
BUSY = 0.6  # of a processor, at the peak: what is left is for pages, maintenance, a crash's backlog
PARTS = ("web", "worker", "postgresql", "redis")


class Tier(NamedTuple):
    """One kind of customer: their share of all, what one sends a day, and for how many days it is kept."""

    name: str
    share: float
    events_per_day: int
    retention_days: int


MIX = (
    Tier("free", 0.90, 200, 7),
    Tier("pro", 0.09, 5_000, 90),
    Tier("enterprise", 0.01, 100_000, 365),
)


@dataclass(frozen=True)
class Costs:
    """CPU of each part in µs: once a request, and for each event in it. Bytes are of one event."""

    per_request: Mapping[str, float]
    per_event: Mapping[str, float]
    disk_bytes: float
    wal_bytes: float
    body_bytes: float

    @classmethod
    def of(cls, ingestion: Mapping[str, Any]) -> Costs:
        """Two points, single events and batches of 100, give both: a request costs `r`, each of its events `e`."""
        found = ingestion["production"]
        single, batch = (found[name]["cpu_us_per_event"] for name in ("single", "sustained"))
        events = {part: max(0.0, BATCH_EVENTS * batch[part] - single[part]) / (BATCH_EVENTS - 1) for part in PARTS}
        return cls(
            per_request={part: max(0.0, single[part] - events[part]) for part in PARTS},
            per_event=events,
            disk_bytes=found["disk"]["bytes_per_event"],
            wal_bytes=found["accept"]["wal_bytes_per_event"] + found["drain"]["wal_bytes_per_event"],
            body_bytes=found["accept"]["body_bytes_per_event"],
        )

    def at(self, events_per_request: float) -> dict[str, float]:
        """CPU µs an event of each part, in requests of so many events."""
        return {part: self.per_request[part] / events_per_request + self.per_event[part] for part in PARTS}


class Need(NamedTuple):
    """What so many customers need. Processes and cores are for the peak, at `BUSY` of each."""

    customers: int
    events_per_day: float
    mean_per_s: float
    peak_per_s: float
    web_processes: int
    ingest_workers: int
    postgresql_cores: float
    cores: float
    body_mbit_per_s: float
    kept_events: float
    disk_bytes: float
    wal_bytes_per_day: float


def needed(customers: int, costs: Costs, events_per_request: float) -> Need:
    """For `customers` of the mix."""
    daily = customers * sum(tier.share * tier.events_per_day for tier in MIX)
    kept = customers * sum(tier.share * tier.events_per_day * (tier.retention_days + 1) for tier in MIX)
    peak = daily / SECONDS_A_DAY * PEAK
    cores = {part: peak * micros / 1e6 / BUSY for part, micros in costs.at(events_per_request).items()}
    return Need(
        customers=customers,
        events_per_day=daily,
        mean_per_s=daily / SECONDS_A_DAY,
        peak_per_s=peak,
        web_processes=math.ceil(cores["web"]),  # Python's lock lets each use one core
        ingest_workers=math.ceil(cores["worker"]),
        postgresql_cores=cores["postgresql"],
        cores=sum(cores.values()),
        body_mbit_per_s=peak * costs.body_bytes * 8 / 1e6,
        kept_events=kept,
        disk_bytes=kept * costs.disk_bytes,
        wal_bytes_per_day=daily * costs.wal_bytes,
    )


def box(cpus: int, costs: Costs, events_per_request: float) -> tuple[float, float, float]:
    """Of a machine with so many cores: events a second at most, at the peak it should see, and customers of the mix."""
    most = cpus / sum(costs.at(events_per_request).values()) * 1e6
    peak = most * BUSY
    each = sum(tier.share * tier.events_per_day for tier in MIX) / SECONDS_A_DAY * PEAK
    return most, peak, peak / each
