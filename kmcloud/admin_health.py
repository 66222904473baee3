"""`/admin/health/`: all of `/health` for people: each check, who beats, what waits, partitions, and what it was before.

Whoever may look at heartbeats may look at it. Reading only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe
from prometheus_client.metrics_core import Metric

from core import shared_clock
from events.logs import path_of as log_named
from events.models import Heartbeat
from events.stores import partitions
from events.stores import path_of as store_named
from kmcloud import health, health_history
from kmcloud.health import WORKER_SILENT_SECONDS
from plugins_registry.admin.queue import span
from plugins_registry.metrics import RegistryCollector

PERMISSION = "events.view_heartbeat"
TONES = {health.OK: "good", health.DEGRADED: "warn", health.UNAVAILABLE: "bad"}
_FORGOTTEN_AFTER = 24 * 3600.0  # a role that was silent for a day is one that nobody starts any more


class Beat(NamedTuple):
    """A long-lived part of the service. `tone`: well, silent for too long, or gone."""

    row: Heartbeat
    age_seconds: float
    tone: str


class Waiting(NamedTuple):
    """A gauge of what waits, as `/metrics` has it."""

    words: str
    labels: str
    value: float
    is_age: bool

    @property
    def age(self) -> str:
        """The seconds, in words."""
        return span(timedelta(seconds=self.value))


@require_safe
def shown(request: HttpRequest) -> HttpResponse:
    """The page."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    at, answer = shared_clock.now(), health.health()
    health_history.note(answer.checks, at=at)
    context = {
        **admin.site.each_context(request),
        "title": "Health",
        "answer": answer,
        "tone": TONES[answer.status],
        "checks": [(name, check, TONES[check.status]) for name, check in answer.checks.items()],
        "beats": list(beats(at)),
        "waiting": list(waiting()),
        "partitions": partitions.listed() if connection.vendor == "postgresql" else [],
        "event_log": log_named(settings.EVENT_LOG),
        "event_store": store_named(settings.EVENT_STORE),
        "clock_seconds": shared_clock.offset().total_seconds(),
        "changes": [(change, TONES.get(change.status, "")) for change in health_history.latest()],
        "now": at,
    }
    return TemplateResponse(request, "kmcloud/console_health.html", context)


def beats(at: datetime) -> Iterator[Beat]:
    """Every part that ever said it is alive, the most silent last."""
    for row in Heartbeat.objects.order_by("-at", "name"):
        age = max(0.0, (at - row.at).total_seconds())
        silent = "warn" if age <= _FORGOTTEN_AFTER else ""
        yield Beat(row, age, "good" if age <= WORKER_SILENT_SECONDS else silent)


def waiting() -> Iterator[Waiting]:
    """What waits for a reviewer, a build, a signature, and, where the broker is Redis, for a worker. No zeros."""
    yield from _gauges(RegistryCollector().collect())
    if settings.CELERY_BROKER_URL.startswith(("redis:", "rediss:", "unix:")):
        from kmcloud.queue_metrics import QueueCollector  # noqa: PLC0415 - an embedded service loads no Redis client

        yield from _gauges(QueueCollector(settings.CELERY_BROKER_URL).collect())


def _gauges(found: Iterable[Metric]) -> Iterator[Waiting]:
    for metric in found:
        for sample in metric.samples:
            words = metric.documentation.rstrip(".")
            if not sample.value:
                continue
            labels = " · ".join(sample.labels.values()).replace("_", " ")
            yield Waiting(words, labels, sample.value, metric.name.endswith("_seconds"))
