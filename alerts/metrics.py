"""What `/metrics` says of this room, read from the database at each scrape: right whichever process did the work.

A customer whose receiver is away makes messages old, and that is the customer's; what is overdue is what no worker
takes up, and that is the operator's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import InterfaceError, OperationalError
from django.db.models import Count, Min
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from alerts.models import Delivery, Incident, Kind, Rule
from core import metrics, shared_clock

NEWEST = 20_000  # messages that are counted; a service with more cares for their trend


class AlertsCollector(Collector):
    """Open incidents, messages by what became of them, and what is late."""

    def collect(self) -> Iterator[Metric]:
        """Nothing without a database; `km_database_up` says so."""
        try:
            yield from list(_gauges(shared_clock.now()))
        except (OperationalError, InterfaceError):
            return


def _gauges(moment: datetime) -> Iterator[Metric]:
    open_ones = Incident.objects.filter(resolved_at=None).order_by()
    incidents = GaugeMetricFamily("km_alert_incidents", "Incidents that are open, by the rule's kind.", labels=["kind"])
    counts = dict(open_ones.values_list("kind").annotate(Count("pk")))
    for kind in Kind.values:
        incidents.add_metric([kind], counts.get(kind, 0))
    yield incidents
    newest = Delivery.objects.order_by("-id").values("pk")[:NEWEST]
    states = dict(Delivery.objects.filter(pk__in=newest).order_by().values_list("state").annotate(Count("pk")))
    messages = GaugeMetricFamily("km_alert_messages", f"The newest {NEWEST:,} messages, by state.", labels=["state"])
    for state in Delivery.State.values:
        messages.add_metric([state], states.get(state, 0))
    yield messages
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING)
    oldest = waiting.aggregate(created=Min("created_at"), due=Min("next_at"))
    due = Rule.objects.filter(enabled=True).aggregate(due=Min("due_at"))["due"]
    for name, help_text, since in (
        ("message_age", "How old the oldest message is that was not taken yet.", oldest["created"]),
        ("message_overdue", "How long the next message is past the time of its try.", oldest["due"]),
        ("rule_overdue", "How long the next rule is past the time it is looked at.", due),
    ):
        late = max(0.0, (moment - since).total_seconds()) if since else 0.0
        yield GaugeMetricFamily(f"km_alert_{name}_seconds", help_text, value=late)


def register() -> None:
    """Once a process."""
    metrics.register(AlertsCollector())
