"""What `/metrics` says of the broker, where it is Redis: how many messages wait in each queue.

A message is a wake-up and never data, so a long queue means that no worker listens to it, not that anything is lost.
Other brokers have figures of their own (RabbitMQ's are at its own `/metrics`), and files need none.
"""

from __future__ import annotations

from collections.abc import Iterator

import redis
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core import metrics
from kmcloud.roles import EVERYTHING

TIMEOUT_SECONDS = 0.25  # a broker that is away must not hold the scrape up


class QueueCollector(Collector):
    """The gauges of the broker at `url`."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=None
        )

    def collect(self) -> Iterator[Metric]:
        """`km_broker_up` always; the queues while it is."""
        waiting = GaugeMetricFamily("km_celery_queue_messages", "Wake-ups nobody has taken up.", labels=["queue"])
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for name in EVERYTHING.queues:
                pipeline.llen(name)
            for name, length in zip(EVERYTHING.queues, pipeline.execute(), strict=True):
                waiting.add_metric([name], length)
        except redis.RedisError:
            yield GaugeMetricFamily("km_broker_up", "Whether the broker answered.", value=0)
            return
        yield GaugeMetricFamily("km_broker_up", "Whether the broker answered.", value=1)
        yield waiting


def register(url: str) -> None:
    """Once a process, of the broker at `url`."""
    metrics.register(QueueCollector(url))
