"""What `/metrics` says of this room.

Counted in the web processes: events by outcome, refusals by cause. Read from the database when scraped, so that they
are right whichever process did the work and survive its restart: the inbox, the quarantine, heartbeats, and today's
totals, which start anew at midnight UTC; Prometheus takes that for the reset of a counter.
A deep inbox is not read through: it is counted up to `COUNTED_ROWS`, and what lies beyond is estimated by its numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import Count, Max, Min, Sum
from prometheus_client import Counter
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core import metrics, shared_clock
from events import logs, stores
from events.models import DailyUsage, Heartbeat, InboxEntry, QuarantinedEntry

COUNTED_ROWS = 10_000  # some 5 ms on SQLite; whoever has more waiting cares for its age and its trend

_EVENTS = Counter("km_ingest_events_total", "Events by what ingestion made of them.", ["outcome"])
_REFUSALS = Counter("km_ingest_refusals_total", "Requests that sent events and were refused, by error code.", ["code"])


def count_refusal(code: str) -> None:
    """One request that was refused as a whole."""
    _REFUSALS.labels(code).inc()


def count_events(*, accepted: int, duplicates: int, rejected: int) -> None:
    """The events of one accepted request."""
    for outcome, events in (("accepted", accepted), ("duplicate", duplicates), ("rejected", rejected)):
        if events:
            _EVENTS.labels(outcome).inc(events)


class StoreCollector(Collector):
    """The gauges that are read from the database at each scrape."""

    def collect(self) -> Iterator[Metric]:
        """Without a database there are no values, and the rest of `/metrics` still answers."""
        try:
            gauges = list(_gauges(shared_clock.now()))
        except (OperationalError, InterfaceError):
            gauges = []
        yield GaugeMetricFamily("km_database_up", "Whether the database could be read.", value=bool(gauges))
        yield from gauges
        yield from _event_log()
        yield from _event_store()


def _event_log() -> Iterator[Metric]:
    """Of a log outside of the database. How many events are in its requests, and how old they are, it does not tell."""
    if settings.EVENT_LOG == logs.INBOX:
        return
    waiting = logs.current().waiting()
    yield GaugeMetricFamily("km_event_log_up", "Whether the event log answered.", value=waiting is not None)
    if waiting is not None:
        yield GaugeMetricFamily("km_event_log_requests", "Requests that no worker has taken up yet.", value=waiting)


def _event_store() -> Iterator[Metric]:
    """Of a store outside of the database."""
    if settings.EVENT_STORE != stores.DATABASE:
        answers = stores.current().answers()
        yield GaugeMetricFamily("km_event_store_up", "Whether the event store answered.", value=answers)


def _gauges(moment: datetime) -> Iterator[Metric]:
    yield from _inbox(moment)
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
    ages = GaugeMetricFamily("km_heartbeat_age_seconds", "Since a part of the service was last seen.", labels=["part"])
    for name, at in Heartbeat.objects.values_list("name", "at"):
        ages.add_metric([name], max(0.0, (moment - at).total_seconds()))
    yield ages


def _inbox(moment: datetime) -> Iterator[Metric]:
    first = InboxEntry.objects.order_by("id").only("id", "events", "received_at")[:COUNTED_ROWS]
    counted = first.aggregate(rows=Count("id"), sum=Sum("events"), last=Max("id"), oldest=Min("received_at"))
    rows, events = counted["rows"], counted["sum"] or 0
    if rows == COUNTED_ROWS:
        last = InboxEntry.objects.order_by("-id").values_list("id", flat=True).first()
        beyond = max(0, (last or 0) - counted["last"])
        rows, events = rows + beyond, events + beyond * events // rows
    age = max(0.0, (moment - counted["oldest"]).total_seconds()) if rows else 0.0
    yield GaugeMetricFamily("km_inbox_rows", "Requests accepted and not drained yet.", value=rows)
    yield GaugeMetricFamily("km_inbox_events", "Their events.", value=events)
    yield GaugeMetricFamily("km_inbox_age_seconds", "How long the oldest of them has waited.", value=age)


def register() -> None:
    """Once a process."""
    metrics.register(StoreCollector())
