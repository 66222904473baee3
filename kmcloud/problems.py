"""What an address that does not exist, or a fault of ours, answers: JSON under `/api/`, a page anywhere else."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from core.errors import body

API_PREFIX = "/api/"


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler404`."""
    if not request.path.startswith(API_PREFIX):
        return defaults.page_not_found(request, exception)
    return JsonResponse(
        body("not_found", f"there is no `{request.path}`", "`/api/docs` shows every address"), status=404
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`."""
    if not request.path.startswith(API_PREFIX):
        return defaults.server_error(request)
    return JsonResponse(
        body("internal_error", "the service failed at this request", "try again; its log says why"),
        status=500,
    )
