"""The addresses events are sent to. Plain Django, called before any other middleware (`events.middleware`): this path
is taken thousands of times a second, and needs neither a session nor a cookie.

    POST /api/events             → {"success": true, "accepted": 98, "duplicates": 1, "rejected": [{"index": 7, …}]}
    POST /api/events/batch       → the same
    POST /api/events/telemetry   → {"status": "ok", "message": "launch recorded", "events_remaining": 4711}

The first is also where a plugin's own token is taken, for as long as its customer may use `api_logging`.
Answered 200 once the database has flushed the events. 429 and 503 carry `Retry-After` and mean that nothing was stored.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec
import structlog
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

from core import shared_clock
from core.errors import ApiError, as_response, database_unavailable
from customers.authentication import Principal, authenticate, authenticate_sender, require, require_feature
from customers.scopes import Scope
from events import bodies, metrics
from events.errors import MethodNotAllowed
from events.ingestion import Receipt, accept
from events.models import InboxEntry
from events.schemas import AcceptedAnswer, RecordedAnswer

Kind = InboxEntry.Kind
PLUGIN_FEATURE = "api_logging"

_log = structlog.get_logger(__name__)
_JSON = msgspec.json.Encoder()


def events(request: HttpRequest) -> HttpResponse:
    """`POST /api/events`: `{"events": […]}`, or one event."""
    return _answer(request, Kind.EVENTS, _accepted)


def batch(request: HttpRequest) -> HttpResponse:
    """`POST /api/events/batch`: events of clients before 1.0."""
    return _answer(request, Kind.BATCH, _accepted)


def telemetry(request: HttpRequest) -> HttpResponse:
    """`POST /api/events/telemetry`: the launch of a server by the Rust `km`."""
    return _answer(request, Kind.TELEMETRY, _recorded)


def _answer(request: HttpRequest, kind: str, encode: Callable[[Receipt], msgspec.Struct]) -> HttpResponse:
    try:
        receipt = _receive(request, kind)
        response = HttpResponse(_JSON.encode(encode(receipt)), content_type="application/json")
        metrics.count_events(accepted=receipt.accepted, duplicates=receipt.duplicates, rejected=len(receipt.rejected))
    except ApiError as error:
        response = _refusal(error, kind)
    except (OperationalError, InterfaceError) as error:
        _log.error("database_unreachable", kind=kind, error=str(error))
        unavailable = database_unavailable()
        metrics.count_refusal(unavailable.code)
        response = as_response(unavailable)
    return response


def _receive(request: HttpRequest, kind: str) -> Receipt:
    if request.method != "POST":
        raise MethodNotAllowed(f"this address takes `POST`, not `{request.method}`", "send the events with `POST`")
    moment = shared_clock.now()  # not this machine's own: one that is behind would refuse what is new
    principal = _sender(request.META.get("HTTP_AUTHORIZATION"), kind, moment)
    require(principal, Scope.EVENTS_WRITE)
    encoding = bodies.encoding_named(request.META.get("HTTP_CONTENT_ENCODING", ""))
    return accept(principal, kind, encoding, bodies.read(request), now=moment)


def _sender(authorization: str | None, kind: str, moment: datetime) -> Principal:
    """Who sends; a plugin only events, and only with the feature that lets plugins send."""
    if kind != Kind.EVENTS:
        return authenticate(authorization, now=moment)
    principal = authenticate_sender(authorization, now=moment)
    if principal.plugin:
        require_feature(principal, PLUGIN_FEATURE)
    return principal


def _refusal(error: ApiError, kind: str) -> HttpResponse:
    _log.info("refused", kind=kind, status=error.status, code=error.code)
    metrics.count_refusal(error.code)
    response = as_response(error)
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django would log it a second time
    if error.status == MethodNotAllowed.status:
        response["Allow"] = "POST"
    return response


def _accepted(receipt: Receipt) -> AcceptedAnswer:
    return AcceptedAnswer(accepted=receipt.accepted, duplicates=receipt.duplicates, rejected=receipt.rejected)


def _recorded(receipt: Receipt) -> RecordedAnswer:
    remaining = None if receipt.limit is None else max(0, receipt.limit - receipt.used)
    return RecordedAnswer("ok", "launch recorded" if receipt.accepted else "launch recorded before", remaining)


ADDRESSES: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/api/events": events,
    "/api/events/batch": batch,
    "/api/events/telemetry": telemetry,
}
