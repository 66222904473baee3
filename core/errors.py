"""One shape for every error the API answers: `{"error": {"code", "message", "hint"}}`.

Status codes belong to the error classes; views raise, `handle` encodes. `code` is stable and may be matched by
programs; `message` says what was wrong with which thing; `hint` is the next step.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

RETRY_BASE_SECONDS = 2
RETRY_JITTER_SECONDS = 8  # spreads the clients that a downed database sent away, so they do not come back as one


class ApiError(Exception):
    """Base of every error an app raises on purpose."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"

    def __init__(self, message: str, hint: str = "", *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retry_after = retry_after


class InvalidRequest(ApiError):
    """The body or a parameter is not what this address takes."""

    status, code = 400, "invalid_request"


class Unauthenticated(ApiError):
    status, code = 401, "unauthenticated"


class Forbidden(ApiError):
    status, code = 403, "forbidden"


class NotFound(ApiError):
    status, code = 404, "not_found"


class PayloadTooLarge(ApiError):
    status, code = 413, "payload_too_large"


class TooManyRequests(ApiError):
    status, code = 429, "too_many_requests"


class Unavailable(ApiError):
    """The request was not carried out and may be repeated: nothing was stored."""

    status, code = 503, "unavailable"


def body(code: str, message: str, hint: str = "") -> dict[str, dict[str, str]]:
    """The one error shape."""
    return {"error": {"code": code, "message": message, "hint": hint}}


def headers(error: ApiError) -> dict[str, str]:
    """The headers an error answers with: `Retry-After` (whole seconds), `WWW-Authenticate` on 401."""
    result = {}
    if error.retry_after is not None:
        result["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        result["WWW-Authenticate"] = 'Bearer realm="kilometers"'
    return result


def database_unavailable() -> Unavailable:
    """What a downed database answers."""
    return not_stored("the database cannot be reached")


def not_stored(reason: str, error: type[Unavailable] = Unavailable) -> Unavailable:
    """*Not stored, come back*, at a jittered moment; `reason` is a clause."""
    return error(
        f"{reason}; nothing was stored",
        "keep the data and send it again after `Retry-After` seconds",
        retry_after=RETRY_BASE_SECONDS + random.randrange(RETRY_JITTER_SECONDS),  # noqa: S311 - jitter, not a secret
    )


def as_response(error: ApiError) -> JsonResponse:
    """`error` as a plain Django response, for views that bypass DRF for speed."""
    return JsonResponse(body(error.code, error.message, error.hint), status=error.status, headers=headers(error))


def handle(exception: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's `EXCEPTION_HANDLER`: every error of every view passes here."""
    # Imported late: `rest_framework.views` imports our authentication class, whose errors are these.
    from rest_framework.views import exception_handler, set_rollback  # noqa: PLC0415

    if isinstance(exception, OperationalError | InterfaceError):
        exception = database_unavailable()
    if isinstance(exception, ApiError):
        set_rollback()
        return Response(
            body(exception.code, exception.message, exception.hint), exception.status, headers=headers(exception)
        )
    if isinstance(exception, Http404):  # DRF would translate these two by itself, and hide what they became
        exception = exceptions.NotFound()
    if isinstance(exception, PermissionDenied):
        exception = exceptions.PermissionDenied()
    response = exception_handler(exception, context)
    if response is not None and isinstance(exception, exceptions.APIException):
        response.data = body(_drf_code(exception), _drf_message(exception))
    return response


def _drf_code(exception: exceptions.APIException) -> str:
    return "invalid_request" if isinstance(exception, exceptions.ValidationError) else exception.default_code


def _drf_message(exception: exceptions.APIException) -> str:
    detail = exception.detail
    if isinstance(detail, dict):
        return "; ".join(f"`{field}`: {' '.join(map(str, problems))}" for field, problems in detail.items())
    return " ".join(map(str, detail)) if isinstance(detail, list) else str(detail)
