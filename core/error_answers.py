"""What the views' errors become: DRF's `EXCEPTION_HANDLER`, for the processes that have views.

    handle(NotFound("there is no key `key_7Yd0…`", "…"), context)
    → 404 {"error": {"code": "not_found", "message": "there is no key `key_7Yd0…`", "hint": "…"}}

Apart from `core.errors`, which every room raises: a command has errors too, and need not load a framework of views.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from core.errors import ApiError, body, database_unavailable, headers


def handle(exception: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's `EXCEPTION_HANDLER`: every error of every view passes here."""
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
