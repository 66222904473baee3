"""Every error a view can raise is answered in the one shape, and none of them as a 500 or a false 401."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions

from core import error_answers, errors


def handled(exception: Exception) -> tuple[int, dict[str, str], dict[str, str]]:
    response = error_answers.handle(exception, {})
    assert response is not None
    assert set(response.data) == {"error"}
    return response.status_code, response.data["error"], dict(response.headers)


@pytest.mark.parametrize("exception", [OperationalError("connection refused"), InterfaceError("closed")])
def test_a_downed_database_is_503_with_retry_after_and_says_nothing_was_stored(exception: Exception) -> None:
    status, error, headers = handled(exception)
    assert (status, error["code"]) == (503, "unavailable")
    assert "nothing was stored" in error["message"]
    assert 1 <= int(headers["Retry-After"]) <= 10


def test_retry_after_is_spread() -> None:
    assert len({handled(OperationalError("down"))[2]["Retry-After"] for _ in range(200)}) > 3


def test_401_says_how_to_authenticate() -> None:
    status, error, headers = handled(errors.Unauthenticated("who is it?", "send a key"))
    assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="kilometers"')
    assert error == {"code": "unauthenticated", "message": "who is it?", "hint": "send a key"}


@pytest.mark.parametrize(
    ("exception", "status", "code"),
    [
        (errors.InvalidRequest("x"), 400, "invalid_request"),
        (errors.Forbidden("x"), 403, "forbidden"),
        (errors.NotFound("x"), 404, "not_found"),
        (errors.PayloadTooLarge("x"), 413, "payload_too_large"),
        (errors.TooManyRequests("x", retry_after=7), 429, "too_many_requests"),
        (errors.Unavailable("x", retry_after=7), 503, "unavailable"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (exceptions.ValidationError({"name": ["is wrong"]}), 400, "invalid_request"),
        (exceptions.Throttled(3), 429, "throttled"),
        (Http404(), 404, "not_found"),
        (PermissionDenied(), 403, "permission_denied"),
    ],
)
def test_each_error_has_its_status_and_code(exception: Exception, status: int, code: str) -> None:
    answered, error, _ = handled(exception)
    assert (answered, error["code"]) == (status, code)
    assert error["message"]


def test_an_unexpected_error_is_left_to_django() -> None:
    assert error_answers.handle(ZeroDivisionError(), {}) is None


def test_a_plain_view_answers_in_the_same_shape() -> None:
    response = errors.as_response(errors.TooManyRequests("slow down", "wait", retry_after=7))
    assert (response.status_code, response["Retry-After"]) == (429, "7")
    assert b'"code": "too_many_requests"' in response.content
