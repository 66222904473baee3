"""What `/metrics` is made of: what the web processes counted, and what is read from the database when asked.

    REQUESTS.labels("api/activity", "GET", "200").inc()     # in any web process; summed over all of them
    register(StoreCollector())                              # in an app's `ready`: figures read at each scrape

Processes count into files of their own in `PROMETHEUS_MULTIPROC_DIR` (prometheus_client's multiprocess mode), so that
several web processes are one service; a process that counts nothing leaves no file. That is why every metric here has
labels: one without would make its file when it is imported, in every management command.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client reads it when it is imported

REQUESTS = Counter("km_http_requests_total", "Answered requests.", ["route", "method", "status"])
SECONDS = Histogram(
    "km_http_request_seconds",
    "From a request's arrival to its whole answer.",
    ["route"],
    buckets=(0.0025, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),  # each is a line of every route, in every scrape
)

_collectors: list[Collector] = []


def register(collector: Collector) -> None:
    """Ask `collector` at each scrape."""
    _collectors.append(collector)


def page(accept: str = "") -> tuple[bytes, str]:
    """All metrics and their content type: OpenMetrics where `accept` prefers it, else Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Everything())
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def forget_processes() -> None:
    """Begin anew: drop what earlier processes counted. For the one that starts the web processes, before it does."""
    directory = os.environ.get(DIRECTORY_VARIABLE)
    for path in Path(directory).glob("*.db") if directory else ():
        path.unlink(missing_ok=True)


class _Everything(Collector):
    """What was counted, then what is looked up."""

    def collect(self) -> Iterator[Metric]:
        yield from (_of_all_processes() if os.environ.get(DIRECTORY_VARIABLE) else REGISTRY).collect()
        for collector in _collectors:
            yield from collector.collect()


def _of_all_processes() -> MultiProcessCollector:
    return MultiProcessCollector(None)  # type: ignore[no-untyped-call]  # None: asked, not registered
