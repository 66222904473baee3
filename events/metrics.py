"""What `/metrics` says of this room.

Counted in the web process: requests, their time, and events by outcome. Read from the database when scraped, so that
they are right whichever process did the work and survive its restart: the inbox, the quarantine, and today's totals.
The daily totals start anew at midnight UTC, which Prometheus takes for the reset of a counter.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from django.db import InterfaceError, OperationalError
from django.db.models import Sum
from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core.clock import now
from events.models import DailyUsage, QuarantinedEntry
from events.queries import inbox_depth

_REQUESTS = Counter("km_ingest_requests_total", "Requests that send events.", ["kind", "status"])
_SECONDS = Histogram(
    "km_ingest_seconds",
    "From the request's arrival to its durable answer.",
    ["kind"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
_EVENTS = Counter("km_ingest_events_total", "Events by what ingestion made of them.", ["outcome"])
_ACCEPTED, _DUPLICATES, _REJECTED = (_EVENTS.labels(outcome) for outcome in ("accepted", "duplicate", "rejected"))


def count_request(kind: str, status: int, seconds: float) -> None:
    """One answered request."""
    _REQUESTS.labels(kind, status).inc()
    _SECONDS.labels(kind).observe(seconds)


def count_events(*, accepted: int, duplicates: int, rejected: int) -> None:
    """The events of one accepted request."""
    _ACCEPTED.inc(accepted)
    _DUPLICATES.inc(duplicates)
    _REJECTED.inc(rejected)


class StoreCollector(Collector):
    """The gauges that are read from the database at each scrape."""

    def describe(self) -> list[Metric]:
        """Nothing to describe beforehand: registration must not touch the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Without a database there are no values, and the rest of `/metrics` still answers."""
        try:
            yield from _gauges()
        except (OperationalError, InterfaceError):
            yield GaugeMetricFamily("km_database_up", "Whether the database could be read.", value=0)


def _gauges() -> Iterator[Metric]:
    moment = now()
    depth = inbox_depth()
    age = 0.0 if depth.oldest_at is None else (moment - depth.oldest_at).total_seconds()
    yield GaugeMetricFamily("km_database_up", "Whether the database could be read.", value=1)
    yield GaugeMetricFamily("km_inbox_rows", "Requests accepted and not drained yet.", value=depth.requests)
    yield GaugeMetricFamily("km_inbox_events", "Their events.", value=depth.events)
    yield GaugeMetricFamily("km_inbox_age_seconds", "How long the oldest of them has waited.", value=max(0.0, age))
    quarantined = QuarantinedEntry.objects.count()
    yield GaugeMetricFamily("km_quarantine_rows", "Requests set aside for an operator.", value=quarantined)
    today = DailyUsage.objects.filter(day=moment.astimezone(UTC).date())
    sums = today.aggregate(stored=Sum("stored"), duplicates=Sum("duplicates"), refused=Sum("refused"))
    for name, help_text in (
        ("stored", "Events drained into the store."),
        ("duplicates", "Events that were stored before."),
        ("refused", "Events refused because a day's quota was spent."),
    ):
        yield CounterMetricFamily(f"km_today_{name}_events", f"{help_text} Since midnight UTC.", value=sums[name] or 0)


def register() -> None:
    """Once a process."""
    REGISTRY.register(StoreCollector())
