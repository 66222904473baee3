"""This room's addresses: each decodes, calls, encodes. What is wrong is raised and encoded in one place."""

from __future__ import annotations

from typing import Any

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import bodies
from core.clock import now
from core.described import ErrorAnswer, extend_schema
from core.throttling import address_of
from customers.authentication import IsCustomer, Principal
from plugins_registry import authorization, failures, validation
from plugins_registry.schemas import AuthenticateAnswer, AuthenticateRequest, ValidateAnswer, ValidateRequest

_REFUSALS = dict.fromkeys((400, 401, 413, 429, 503), ErrorAnswer)


class PluginView(APIView):
    """An address for the hosts of plugins, who call with their customer's key or token, never with a plugin's."""

    permission_classes = (IsCustomer,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Prove who calls, counting those who cannot."""
        with failures.counted(address_of(request), at=now()):
            super().initial(request, *args, **kwargs)


class AuthenticateView(PluginView):
    @extend_schema(
        operation_id="plugins_authenticate",
        tags=["plugins"],
        request=AuthenticateRequest,
        responses={200: AuthenticateAnswer, 403: ErrorAnswer, **_REFUSALS},
    )
    def post(self, request: Request) -> Response:
        """Get a plugin's own token, good for 15 minutes at most, and what the plugin may use now."""
        principal, moment = _principal(request), now()
        with failures.counted(address_of(request), principal, at=moment):
            asked = bodies.read(request, AuthenticateRequest)
            return _answer(authorization.authorize(principal, asked, at=moment))


class ValidateView(PluginView):
    @extend_schema(
        operation_id="plugins_validate",
        tags=["plugins"],
        request=ValidateRequest,
        responses={200: ValidateAnswer, **_REFUSALS},
    )
    def post(self, request: Request) -> Response:
        """Ask whether a plugin's token still holds. A bad one is no error: `reason` says what is wrong with it."""
        principal, moment, address = _principal(request), now(), address_of(request)
        with failures.counted(address, principal, at=moment):
            answer = validation.validate(principal, bodies.read(request, ValidateRequest), at=moment)
        if answer.reason and answer.reason not in validation.ENDED:
            failures.count(address, principal, at=moment)
        return _answer(answer)


def _answer(body: msgspec.Struct) -> Response:
    return Response(msgspec.to_builtins(body))


def _principal(request: Request) -> Principal:
    principal = request.auth
    assert isinstance(principal, Principal)  # what IsCustomer lets through
    return principal
