"""This room's addresses: those that send events, routed and described here and answered by `events.ingress`, and those
that read them.

POST /api/events {"events": […]}                      → {"success": true, "accepted": 98, …}
GET /api/activity?limit=50&tool=git_log&errors=true   → {"events": [{"id", "timestamp", …}], "next": "IjAx…"}
GET /api/stats                                        → {"today": {"events": 4711, …}, "inbox": {…}, "quota": {…}}
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer
from km_protocol.envelope import Event, EventBatch
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.clock import now
from core.described import ErrorAnswer, extend_schema
from core.errors import InvalidRequest
from core.paging import parse_limit
from customers import usage
from customers.authentication import IsCustomer, Principal, may
from customers.scopes import Scope
from events import ingress, queries, quotas
from events.older_clients import Launch, OlderBatch
from events.schemas import (
    AcceptedAnswer,
    ActivityAnswer,
    DayQuota,
    Moment,
    RecordedAnswer,
    StatsAnswer,
    activity_event,
    sums,
    waiting,
)
from events.store import EventFilter

_ERRORS = {400: ErrorAnswer, 401: ErrorAnswer, 403: ErrorAnswer, 503: ErrorAnswer}
_TEXT_FILTERS = ("session_id", "type", "direction", "method", "tool")
_YES_NO = {"": False, "0": False, "false": False, "1": True, "true": True}
_REFUSALS = dict.fromkeys((400, 401, 403, 405, 413, 415, 429, 503), ErrorAnswer)
_RECORDED = {200: RecordedAnswer, **_REFUSALS}
_ENCODING = OpenApiParameter(
    "Content-Encoding", str, "header", enum=["gzip", "zstd"], description="Inflated under a cap of 64 MiB."
)
_SENDING: Any = {
    "tags": ["events"],
    "auth": [{"bearer": []}],
    "parameters": [_ENCODING],
    "responses": {200: AcceptedAnswer, **_REFUSALS},
}
_SHAPES: Any = [EventBatch, Event]  # structs, which core.openapi lets stand for serializers
_ONE_OR_MORE = PolymorphicProxySerializer("EventsBody", _SHAPES, resource_type_field_name=None, many=False)
_PARAMETERS = [
    OpenApiParameter("limit", int, description="How many events, 1 to 500."),
    OpenApiParameter("cursor", str, description="The `next` of the page before."),
    OpenApiParameter("errors", bool, description="Only events that are errors."),
    OpenApiParameter("since", datetime, description="Not before this moment, such as `2026-11-22T00:00:00Z`."),
    OpenApiParameter("until", datetime, description="Before this moment."),
    *(OpenApiParameter(name, str, description=f"Only events with this `{name}`.") for name in _TEXT_FILTERS),
]


class IngestView(APIView):
    """`events.ingress` does everything itself, credentials and errors included."""

    authentication_classes: tuple[type[Any], ...] = ()
    permission_classes: tuple[type[Any], ...] = ()


class EventsView(IngestView):
    @extend_schema(operation_id="send_events", request=_ONE_OR_MORE, **_SENDING)
    def post(self, request: Request) -> HttpResponse:
        """Send events: a batch of up to 2,000, or one alone. Answered once they are durable."""
        return ingress.events(request._request)


class BatchView(IngestView):
    @extend_schema(operation_id="send_older_batch", request=OlderBatch, **_SENDING)
    def post(self, request: Request) -> HttpResponse:
        """Send events as clients before 1.0 do: base64 payloads, `inbound` and `outbound`."""
        return ingress.batch(request._request)


class TelemetryView(IngestView):
    @extend_schema(operation_id="send_launch", request=Launch, **{**_SENDING, "responses": _RECORDED})
    def post(self, request: Request) -> HttpResponse:
        """Record that `km` launched a server."""
        return ingress.telemetry(request._request)


class ActivityView(APIView):
    permission_classes = (IsCustomer, may(Scope.EVENTS_READ))

    @extend_schema(
        operation_id="activity", tags=["events"], parameters=_PARAMETERS, responses={200: ActivityAnswer, **_ERRORS}
    )
    def get(self, request: Request) -> Response:
        """Recent events, newest first. A filtered page may be short and still have a `next`: follow it."""
        asked = request.query_params
        page = queries.recent_events(
            _principal(request).customer_id,
            after=asked.get("cursor") or None,
            limit=parse_limit(asked.get("limit")),
            only=_filter(request),
        )
        answer = ActivityAnswer([activity_event(row) for row in page.rows], page.next)
        return Response(msgspec.to_builtins(answer))


class StatsView(APIView):
    permission_classes = (IsCustomer, may(Scope.EVENTS_READ))

    @extend_schema(operation_id="stats", tags=["events"], responses={200: StatsAnswer, **_ERRORS})
    def get(self, request: Request) -> Response:
        """Totals of today (UTC), of the last day and of the last week; what waits; what is left of the quota."""
        return Response(msgspec.to_builtins(_stats(_principal(request), at=now())))


def _stats(principal: Principal, *, at: datetime) -> StatsAnswer:
    customer_id, limit = principal.customer_id, principal.events_per_day
    resets_at = usage.day_ends(at)
    begins = (resets_at - timedelta(days=1), at - timedelta(hours=24), at - timedelta(days=7))
    today, day, week = (sums(queries.totals(customer_id, since=moment)) for moment in begins)
    counted = quotas.today(customer_id, at=at)
    remaining = None if limit is None else max(0, limit - counted.accepted)
    return StatsAnswer(
        today=today,
        last_24_hours=day,
        last_7_days=week,
        duplicates_today=counted.duplicates,
        refused_today=counted.refused,
        inbox=waiting(queries.inbox_depth(customer_id)),
        quota=DayQuota(limit, counted.accepted, remaining, resets_at),
    )


def _principal(request: Request) -> Principal:
    principal = request.auth
    assert isinstance(principal, Principal)  # what IsCustomer lets through
    return principal


def _filter(request: Request) -> EventFilter:
    asked = request.query_params
    errors = asked.get("errors", "").lower()
    if errors not in _YES_NO:
        raise InvalidRequest(f"`errors` is `{errors[:40]}`", "send `true` or `false`, or leave it out")
    texts = {name: asked.get(name, "") for name in _TEXT_FILTERS}
    if any("\0" in text for text in texts.values()):
        raise InvalidRequest("a filter holds U+0000, which no event does", "leave the character out")
    return EventFilter(
        **texts, errors_only=_YES_NO[errors], since=_moment(request, "since"), until=_moment(request, "until")
    )


def _moment(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    try:
        moment: datetime = msgspec.convert(text, Moment)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"`{name}` is not a moment: {error}", "send one like `2026-11-22T15:40:00Z`") from None
    return moment
