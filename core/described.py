"""What the API's description says of a view, kept until somebody asks for the description.

    class KeysView(APIView):
        @extend_schema(operation_id="issue_key", request=IssueRequest, responses={201: IssuedKey})
        def post(self, request): …

    apply()      # once, by whoever writes the description (`kmcloud.openapi`)

Takes what drf-spectacular's `extend_schema` takes and hands it on, later: that library, and all of DRF's and Django's
test tools with it, are loaded by the one request in ten thousand that wants the description, not by every start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

Method = TypeVar("Method", bound=Callable[..., Any])

_waiting: list[tuple[Callable[..., Any], dict[str, Any]]] = []


class ErrorDetail(msgspec.Struct):
    """What was wrong: a stable `code` for programs, `message` and `hint` for people."""

    code: str
    message: str
    hint: str


class ErrorAnswer(msgspec.Struct):
    """Every error of this API."""

    error: ErrorDetail


def extend_schema(**about: Any) -> Callable[[Method], Method]:
    """Describe a method of a view."""

    def described(method: Method) -> Method:
        _waiting.append((method, about))
        return method

    return described


def apply() -> None:
    """Tell drf-spectacular everything that was said so far, each once."""
    from drf_spectacular.utils import extend_schema as tell  # noqa: PLC0415 - see above

    for method, about in _waiting:
        tell(**about)(method)
    _waiting.clear()
