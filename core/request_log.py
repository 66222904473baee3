"""One line of log and one count for every request, whoever answers it.

    {"event": "request", "method": "GET", "route": "api/activity", "status": 200, "duration_ms": 4.1,
     "request_id": "7f3a…", "trace_id": "4bf9…", "customer_id": "cus_7Yd0…", "key_id": "key_0aXv…", "level": "info", …}

The first of all middleware: its ids (`core.correlation`) are on every line logged while the request lasts, and the
answer returns `X-Request-ID`. The route is logged in place of the address: an address and its query are the caller's
words, and hold whatever they put there. Routes that are asked all the time are logged at DEBUG unless they fail.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from core import correlation, metrics

QUIET = frozenset({"livez", "readyz", "health", "metrics", "static"})
OTHER = "other"  # no route of ours: one label for whatever a scanner tries
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_log = structlog.get_logger("km.request")
_levels = logging.getLogger("km.request")


class RequestLogMiddleware:
    """Binds the ids, then logs and counts the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begun = time.perf_counter()
        asked = request.META
        request_id = correlation.begin(asked.get("HTTP_X_REQUEST_ID"), asked.get("HTTP_TRACEPARENT"))
        try:
            response = self._get_response(request)
            response.headers["X-Request-ID"] = request_id
            _note(request, response.status_code, time.perf_counter() - begun)
        finally:
            correlation.end()
        return response


def _note(request: HttpRequest, status: int, seconds: float) -> None:
    route, method = _route(request), request.method if request.method in _METHODS else OTHER
    metrics.REQUESTS.labels(route, method, status).inc()
    metrics.SECONDS.labels(route).observe(seconds)
    level = _level(request, route, status)
    if _levels.isEnabledFor(level):
        user = getattr(request, "_cached_user", None)  # Django's, and only if somebody asked for it: no query of ours
        if user is not None and user.is_authenticated:
            correlation.identify(user_id=str(user.pk))
        _log.log(level, "request", method=method, route=route, status=status, duration_ms=round(seconds * 1000, 2))


def _level(request: HttpRequest, route: str, status: int) -> int:
    if status >= 500:
        return logging.ERROR
    quiet = route in QUIET or hasattr(request, "shortcut")
    return logging.DEBUG if quiet else logging.INFO


def _route(request: HttpRequest) -> str:
    """The pattern that answered, such as `api/keys/<str:key_id>`: as many as there are addresses, never as callers."""
    shortcut = getattr(request, "shortcut", None)
    if shortcut is not None:
        return str(shortcut)
    if request.resolver_match is not None:
        return request.resolver_match.route or "/"
    return "static" if request.path_info.startswith(settings.STATIC_URL) else OTHER
