"""Sending frozen bodies to the endpoint, in order, each until it has arrived (OTLP/HTTP 1.x, binary protobuf).

    with claimed("traces", now=moment) as ours:
        if ours: send("traces", post, clock=now)

A body is deleted after the endpoint's 200 and not before. What the endpoint calls bad (400, 413, 422) it will never
take: that body is dropped, counted and logged, so that it does not hold up the others. Anything else, a refused token
included, is for somebody to mend: the body stays, and the next try comes after a growing pause or the `Retry-After`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import requests
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from events.otlp.freezing import drop
from events.otlp.models import Body, Destination, Signal

TIMEOUT_SECONDS = 10.0  # the default of OpenTelemetry's own exporters
CLAIM = timedelta(minutes=2)  # a worker that dies with it delays the export by this; two at once send the same bytes
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=10)
NEVER_TAKEN = frozenset({400, 413, 422})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a try: `status` 0 when nobody answered. `error` is for people."""

    status: int
    error: str = ""
    retry_after: timedelta | None = None
    body: bytes = b""


Post = Callable[[str, bytes], Answer]


@contextmanager
def claimed(signal: str, *, now: datetime) -> Iterator[bool]:
    """Whether this process may work on `signal`'s export meanwhile."""
    Destination.objects.get_or_create(pk=signal)
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
    until = now + CLAIM
    ours = bool(Destination.objects.filter(free, pk=signal).update(claimed_until=until))
    try:
        yield ours
    finally:
        if ours:
            Destination.objects.filter(pk=signal, claimed_until=until).update(claimed_until=None)


def send(signal: str, post: Post, *, clock: Callable[[], datetime], until: datetime) -> int:
    """Send what waits, oldest first, until `until` or the first that does not arrive. Returns the items that did."""
    sent = 0
    while (moment := clock()) < until and _may_try(signal, moment):
        body = Body.objects.filter(signal=signal).order_by("id").first()
        if body is None:
            break
        answer = post(signal, bytes(body.body))
        if answer.status == 200:
            sent += _arrived(body, answer)
        elif answer.status in NEVER_TAKEN:
            drop(signal, [(body.pk, body.items)])
            _log.error("telemetry_refused", signal=signal, items=body.items, status=answer.status, error=answer.error)
        else:
            _put_off(signal, answer, moment)
            break
    return sent


def post(signal: str, body: bytes) -> Answer:
    """One try at the endpoint of the settings."""
    headers = {**settings.OTLP_HEADERS, "Content-Type": "application/x-protobuf"}
    try:
        response = requests.post(
            f"{settings.OTLP_ENDPOINT.rstrip('/')}/v1/{signal}",
            body,
            headers=headers,
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        return Answer(0, type(error).__name__)
    wanted = response.headers.get("Retry-After", "")
    pause = timedelta(seconds=int(wanted)) if wanted.isascii() and wanted.isdigit() and len(wanted) < 6 else None
    return Answer(response.status_code, response.reason or "", pause, response.content)


def _may_try(signal: str, moment: datetime) -> bool:
    ready = Q(retry_at__isnull=True) | Q(retry_at__lte=moment)
    return Destination.objects.filter(ready, pk=signal).exists()


def _arrived(body: Body, answer: Answer) -> int:
    refused, why = _partly_refused(body.signal, answer.body)
    if refused:
        _log.error("telemetry_partly_refused", signal=body.signal, items=refused, error=why)
    with transaction.atomic():
        Body.objects.filter(pk=body.pk).delete()
        Destination.objects.filter(pk=body.signal).update(
            sent=F("sent") + body.items - refused, dropped=F("dropped") + refused, failures=0, error="", retry_at=None
        )
    return body.items - refused


def _partly_refused(signal: str, answer: bytes) -> tuple[int, str]:
    """How many items a 200 nevertheless leaves out (OTLP's `partial_success`), and why."""
    try:
        if signal == Signal.TRACES:
            traces = ExportTraceServiceResponse.FromString(answer).partial_success
            return traces.rejected_spans, traces.error_message
        metrics = ExportMetricsServiceResponse.FromString(answer).partial_success
        return metrics.rejected_data_points, metrics.error_message
    except DecodeError:
        return 0, ""  # a proxy's page, or JSON: it said 200


def _put_off(signal: str, answer: Answer, moment: datetime) -> None:
    failures = Destination.objects.values_list("failures", flat=True).get(pk=signal)
    pause = answer.retry_after or min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures, 10))
    error = f"{answer.status or 'no answer'}: {answer.error}"
    Destination.objects.filter(pk=signal).update(failures=failures + 1, error=error, retry_at=moment + pause)
    _log.warning("telemetry_not_taken", signal=signal, error=error, retry_in_s=pause.total_seconds())
