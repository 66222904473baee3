"""From halves of calls to request bodies: pair, describe, write down, forget the halves; all in one transaction.

    freeze(now=moment)      → 2, the calls that were written down; 0 when none is complete

An answer whose request has not arrived waits `PATIENCE` for it, and then is exported alone. A request that nobody
answers is given up after `ABANDONED`. Beyond `MAX_BODIES` that the endpoint does not take, the oldest are dropped and
counted: an endpoint that is away for days must not fill the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby

import msgspec
import structlog
from django.db import connection, transaction
from django.db.models import F
from km_protocol import __version__
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics, ScopeMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from customers.models import Customer
from events.models import Session
from events.otlp import durations
from events.otlp.facts import Facts
from events.otlp.models import Body, Destination, Half, Series, Signal
from events.otlp.spans import Call, key_values, span_of
from events.turns import turn

CALLS_A_BODY = 500  # some 250 KB, far below every receiver's limit
PATIENCE = timedelta(minutes=10)  # batches of one laptop may be drained in any order, and seldom minutes apart
ABANDONED = timedelta(hours=24)
MAX_BODIES = 2_000  # of a signal: a million calls, some hundred MB

_log = structlog.get_logger(__name__)
_SCOPE = InstrumentationScope(name="kilometers", version=__version__)


def freeze(*, now: datetime) -> int:
    """Write down up to `CALLS_A_BODY` calls. By one process at a time (`sending.claimed`)."""
    with turn(), transaction.atomic():
        answers = list(_due(now))
        calls = list(_calls(answers, now))
        if calls:
            _write(Signal.TRACES, len(calls), _traces(calls), now)
            touched = durations.add(calls, at=now)
            _write(Signal.METRICS, len(touched), _metrics(touched, now), now)
    return len(calls)


def tidy(*, now: datetime) -> None:
    """Give up what will never be exported."""
    abandoned, _ = Half.objects.filter(is_answer=False, kept_at__lt=now - ABANDONED).delete()
    if abandoned:
        _log.info("requests_without_answer", requests=abandoned)
    for signal in Signal:
        beyond = Body.objects.filter(signal=signal).order_by("-id").values_list("id", flat=True)[MAX_BODIES:]
        lost = list(Body.objects.filter(pk__in=list(beyond)).values_list("id", "items"))
        if lost:
            drop(signal, lost)
            _log.error("telemetry_dropped", signal=signal, bodies=len(lost), hint="the endpoint takes nothing")


def drop(signal: str, bodies: Sequence[tuple[int, int]]) -> None:
    """Give up `bodies`, (id, items) each, and count what was in them."""
    with transaction.atomic():
        Body.objects.filter(pk__in=[pk for pk, _ in bodies]).delete()
        Destination.objects.filter(pk=signal).update(dropped=F("dropped") + sum(items for _, items in bodies))


def _due(now: datetime) -> Iterable[Half]:
    rows = Half.objects.filter(is_answer=True, due_at__lte=now).order_by("id")
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True)
    return rows[:CALLS_A_BODY]


def _calls(answers: Sequence[Half], now: datetime) -> Iterator[Call]:
    """The calls that are complete, their halves forgotten; the others are put off."""
    requests: dict[str, list[Half]] = {}
    for row in Half.objects.filter(is_answer=False, pair__in={row.pair for row in answers}).order_by("sequence", "id"):
        requests.setdefault(row.pair, []).append(row)
    versions = _versions(answers)
    done: list[int] = []
    for answer in answers:
        request = _taken(requests.get(answer.pair, []), answer)
        if request is None and now < answer.kept_at + PATIENCE:
            Half.objects.filter(pk=answer.pk).update(due_at=answer.kept_at + PATIENCE)
            continue
        done += [row.pk for row in (request, answer) if row is not None]
        facts = _facts(answer)
        version = versions.get((answer.customer_id, facts.session_id), "")
        yield Call(answer.customer_id, _facts(request) if request else None, facts, version)
    Half.objects.filter(pk__in=done).delete()


def _taken(requests: list[Half], answer: Half) -> Half | None:
    """The latest request before `answer`: a careless client uses a correlation again. It is taken out of the list."""
    earlier = [row for row in requests if row.sequence <= answer.sequence]
    if not earlier:
        return None
    requests.remove(earlier[-1])
    return earlier[-1]


def _facts(half: Half) -> Facts:
    return msgspec.json.decode(half.facts, type=Facts)


def _versions(answers: Sequence[Half]) -> dict[tuple[int, str], str]:
    """The protocol version each session agreed on."""
    sessions = {(row.customer_id, _facts(row).session_id) for row in answers}
    rows = Session.objects.filter(
        customer_id__in={customer for customer, _ in sessions}, session_id__in={session for _, session in sessions}
    )
    return {
        (customer, session): version
        for customer, session, version in rows.values_list("customer_id", "session_id", "protocol_version")
    }


def _write(signal: str, items: int, body: bytes, now: datetime) -> None:
    Body.objects.create(signal=signal, items=items, made_at=now, body=body)


def _traces(calls: Sequence[Call]) -> bytes:
    resources = _resources({call.customer_id for call in calls})
    groups = groupby(sorted(calls, key=lambda call: call.customer_id), key=lambda call: call.customer_id)
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=resources[customer], scope_spans=[ScopeSpans(scope=_SCOPE, spans=map(span_of, group))]
            )
            for customer, group in groups
        ]
    ).SerializeToString(deterministic=True)


def _metrics(series: Sequence[Series], now: datetime) -> bytes:
    resources = _resources({each.customer_id for each in series})
    groups = groupby(sorted(series, key=lambda each: each.customer_id), key=lambda each: each.customer_id)
    return ExportMetricsServiceRequest(
        resource_metrics=[
            ResourceMetrics(
                resource=resources[customer],
                scope_metrics=[ScopeMetrics(scope=_SCOPE, metrics=durations.metrics_of(list(group), at=now))],
            )
            for customer, group in groups
        ]
    ).SerializeToString(deterministic=True)


def _resources(customers: set[int]) -> dict[int, Resource]:
    """Who the telemetry is of: this service, on behalf of a customer."""
    names = dict(Customer.objects.filter(pk__in=customers).values_list("pk", "public_id"))
    about = {"service.name": "kilometers", "service.version": __version__}
    return {
        pk: Resource(attributes=key_values(about | {"km.customer.id": names.get(pk, f"deleted:{pk}")}))
        for pk in customers
    }
