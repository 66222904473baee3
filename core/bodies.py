"""Request bodies: JSON of a declared shape, or an error that names the place.

    read(request, IssueRequest)
    → 400 invalid_request: the body is refused: Expected `str`, got `int` - at `$.name`

What a body may hold is the struct's business; this room only turns bytes into it, or into an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest

from core.errors import InvalidRequest, PayloadTooLarge

if TYPE_CHECKING:
    from rest_framework.request import Request

Shape = TypeVar("Shape")


class MissingBody(InvalidRequest):
    code = "missing_body"


def read(request: HttpRequest | Request, shape: type[Shape]) -> Shape:
    """The body of `request` as a `shape`. Raises `MissingBody`, `InvalidRequest`, `PayloadTooLarge`."""
    return decode(raw(request), shape)


def raw(request: HttpRequest | Request) -> bytes:
    """The body of `request` as it came. Raises `PayloadTooLarge`."""
    try:
        body: bytes = request.body
    except RequestDataTooBig as error:
        raise PayloadTooLarge(str(error), "this address takes a small body") from None
    return body


def decode(body: bytes, shape: type[Shape]) -> Shape:
    """`body` as a `shape`, a msgspec struct. Raises `MissingBody`, `InvalidRequest`."""
    if not body.strip():
        raise MissingBody("the request has no body", "send a JSON object; `/api/docs` shows its fields")
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        cause = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidRequest(f"the body is refused: {cause}", "`/api/docs` shows the fields and their types") from None
