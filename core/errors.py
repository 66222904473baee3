"""One shape for every error the API answers: `{"error": {"code", "message", "hint"}}`.

Status codes belong to the error classes; views raise, `core.error_answers` encodes. `code` is stable and may be matched
by programs; `message` says what was wrong with which thing; `hint` is the next step.
"""

from __future__ import annotations

import random
from typing import ClassVar

from django.http import JsonResponse

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
