"""The short way in: a request that sends events goes straight to its view, past sessions, cookies, CSP and CSRF.

It stands behind nothing but the log; every other request continues down the list. What it calls is what the views of
`events.urls` call too, so there is one code path, and this is only its shortcut.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from events.ingress import ADDRESSES


class IngestMiddleware:
    """Answers the addresses of `events.ingress.ADDRESSES`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        view = ADDRESSES.get(request.path_info)
        if view is None:
            return self._get_response(request)
        request.shortcut = request.path_info[1:]  # type: ignore[attr-defined]  # the route, for `core.request_log`
        return view(request)
