"""How long calls take, as the conventions' histograms: cumulative sums, kept in rows.

    touched = add([Call(…), Call(…)], at=moment)     → the series that changed, with their new sums
    metric_of(touched, at=moment)                    → OTLP's protobuf, a point for each

Sums only grow, and a point states all of its series since `started_at`: a point that is lost or arrives twice changes
nothing in the end.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
)

from events.otlp.models import Series
from events.otlp.spans import Call, key_values, shared_attributes

CLIENT, SERVER = "mcp.client.operation.duration", "mcp.server.operation.duration"
BOUNDS_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)  # the conventions' own
_DESCRIPTIONS = {
    CLIENT: "The duration of the MCP request as observed on the sender from the time it was sent until the response.",
    SERVER: "MCP request duration as observed on the receiver from the time it was received until the result is sent.",
}


def add(calls: Iterable[Call], *, at: datetime) -> list[Series]:
    """Count `calls` into their series. Inside a transaction, by one process at a time."""
    named = [(_series(call, at), call.seconds) for call in calls]
    keys = {series.key for series, _ in named}
    found = {row.key: row for row in Series.objects.select_for_update().filter(key__in=keys)}
    for fresh, seconds in named:
        series = found.setdefault(fresh.key, fresh)
        series.count += 1
        series.sum += seconds
        series.buckets[bisect_left(BOUNDS_SECONDS, seconds)] += 1
    changed = [found[key] for key in sorted(keys)]
    Series.objects.bulk_create(
        changed, update_conflicts=True, unique_fields=["key"], update_fields=["count", "sum", "buckets"]
    )
    return changed


def metrics_of(series: Sequence[Series], *, at: datetime) -> list[Metric]:
    """A metric for each name among `series`."""
    return [
        Metric(
            name=name,
            unit="s",
            description=_DESCRIPTIONS[name],
            histogram=Histogram(
                aggregation_temporality=AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE,
                data_points=[_point(each, at) for each in series if each.metric == name],
            ),
        )
        for name in sorted({each.metric for each in series})
    ]


def _series(call: Call, at: datetime) -> Series:
    metric = CLIENT if call.from_client else SERVER
    attributes = shared_attributes(call)
    named = repr((call.customer_id, metric, sorted(attributes.items())))
    key = hashlib.blake2b(named.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    empty = [0] * (len(BOUNDS_SECONDS) + 1)
    return Series(
        key=key, customer_id=call.customer_id, metric=metric, attributes=attributes, started_at=at, buckets=empty
    )


def _point(series: Series, at: datetime) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes=key_values(series.attributes),
        start_time_unix_nano=nanoseconds(series.started_at),
        time_unix_nano=nanoseconds(at),
        count=series.count,
        sum=series.sum,
        bucket_counts=series.buckets,
        explicit_bounds=BOUNDS_SECONDS,
    )


def nanoseconds(moment: datetime) -> int:
    """Since 1970; microseconds are exact."""
    return int(moment.timestamp() * 1_000_000) * 1000
