"""What `/metrics` says of the export: how much waits for the endpoint, and what it would not take."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import InterfaceError, OperationalError
from django.db.models import Count
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core import metrics
from events.otlp.models import Body, Destination, Signal


class ExportCollector(Collector):
    """Read at each scrape; zeros while the export is off."""

    def collect(self) -> Iterator[Metric]:
        """Nothing without a database; `km_database_up` says so."""
        waiting = GaugeMetricFamily(
            "km_otlp_waiting_bodies", "Requests not yet taken by the endpoint.", labels=["signal"]
        )
        failing = GaugeMetricFamily("km_otlp_failures", "Failed tries in a row.", labels=["signal"])
        done = CounterMetricFamily(
            "km_otlp_items", "Spans and series by what became of them.", labels=["signal", "outcome"]
        )
        try:
            bodies = dict(Body.objects.order_by().values_list("signal").annotate(Count("pk")))
            states = {row.signal: row for row in Destination.objects.all()}
        except (OperationalError, InterfaceError):
            return
        for signal in Signal:
            state = states.get(signal, Destination())
            waiting.add_metric([signal], bodies.get(signal, 0))
            failing.add_metric([signal], state.failures)
            done.add_metric([signal, "sent"], state.sent)
            done.add_metric([signal, "dropped"], state.dropped)
        yield from (waiting, failing, done)


def register() -> None:
    """Once a process."""
    metrics.register(ExportCollector())
