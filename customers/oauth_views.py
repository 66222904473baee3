"""The addresses of a login by code as RFC 8628 spells them: forms in, snake_case out.

    POST /oauth/device_authorization, /oauth/token
    GET  /.well-known/oauth-authorization-server     where those are (RFC 8414)

Whatever is wrong is told as RFC 6749 §5.2 has it, `{"error": "invalid_request", "error_description": "…"}`: its clients
read a word there, not an object.
"""

from __future__ import annotations

import msgspec
from django.conf import settings
from django.core.exceptions import TooManyFieldsSent
from django.http import QueryDict
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.response import Response

from core import bodies
from core.clock import now
from core.described import extend_schema
from core.errors import InvalidRequest, PayloadTooLarge
from customers import device_codes, device_views, machines
from customers.device_codes import Asking
from customers.device_schemas import DeviceAuthorization, OAuthRefusal, OAuthToken
from customers.errors import PollRefused
from customers.scopes import DEFAULT_SCOPES
from customers.views import PublicView

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
_FORM = {"application/x-www-form-urlencoded": OpenApiTypes.OBJECT}


class OAuthView(PublicView):
    """An address of the RFC's own: what any other tells in an object, it tells in the words of RFC 6749 §5.2."""

    @staticmethod
    def word(status: int) -> str:
        """Of an error that has none of its own."""
        return "temporarily_unavailable" if status in (429, 503) else "invalid_request"

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        said = response.data["error"]
        description = ": ".join(filter(None, (said["message"], said.get("hint"))))
        response.data = msgspec.to_builtins(OAuthRefusal(self.word(response.status_code), description))
        for name, value in device_views.NOT_KEPT.items():
            response[name] = value
        return response


class DeviceAuthorizationView(OAuthView):
    @extend_schema(
        operation_id="oauth_device_authorization",
        tags=["auth"],
        request=_FORM,
        responses={200: DeviceAuthorization, 400: OAuthRefusal, 429: OAuthRefusal},
    )
    def post(self, request: Request) -> Response:
        """RFC 8628 §3.1: `client_id`, and `scope` where less or more than the usual is wanted."""
        form = _form(request)
        if wrong := _wrong_form(form, "client_id"):
            return wrong
        scopes = _field(form, "scope").split() or DEFAULT_SCOPES
        try:
            codes = device_views.start(request, Asking(client=_field(form, "client_id"), scopes=scopes))
        except InvalidRequest as error:
            return _oauth_error("invalid_scope", f"{error.message}: {error.hint}")
        answer = DeviceAuthorization(
            codes.device_code,
            codes.user_code,
            device_views.confirm_page(),
            device_views.confirm_page(codes.user_code),
            device_views.seconds_good(codes),
            codes.grant.interval,
        )
        return device_views.answer(answer)


class TokenView(OAuthView):
    @staticmethod
    def word(status: int) -> str:
        """Whoever polls goes on after `slow_down` (RFC 8628 §3.5), and gives up at anything else."""
        return device_codes.TOO_FAST if status == 429 else OAuthView.word(status)

    @extend_schema(
        operation_id="oauth_token",
        tags=["auth"],
        request=_FORM,
        responses={200: OAuthToken, 400: OAuthRefusal, 429: OAuthRefusal},
    )
    def post(self, request: Request) -> Response:
        """RFC 8628 §3.4: `grant_type`, `device_code`, `client_id`."""
        form = _form(request)
        if wrong := _wrong_form(form, "grant_type"):
            return wrong
        if _field(form, "grant_type") != GRANT_TYPE:
            return _oauth_error("unsupported_grant_type", f"`grant_type` must be {GRANT_TYPE}")
        if wrong := _wrong_form(form, "device_code", "client_id"):
            return wrong
        at = now()
        try:
            issued = device_views.redeem(request, _field(form, "device_code"), _field(form, "client_id"))
        except PollRefused as refused:
            return _oauth_error(refused.word, "")
        except InvalidRequest as error:  # confirmed, but there is no room for another key
            return _oauth_error(device_codes.DENIED, f"{error.message}: {error.hint}")
        seconds = int((issued.key.expires_at - at).total_seconds()) if issued.key.expires_at else 0
        return device_views.answer(OAuthToken(issued.secret, "Bearer", seconds, " ".join(issued.key.scopes)))


class MetadataView(PublicView):
    @extend_schema(operation_id="oauth_metadata", tags=["auth"], responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Where the addresses of this login are (RFC 8414)."""
        return Response(
            {
                "issuer": settings.PUBLIC_URL,
                "device_authorization_endpoint": settings.PUBLIC_URL + reverse("device-authorization"),
                "token_endpoint": settings.PUBLIC_URL + reverse("device-token"),
                "grant_types_supported": [GRANT_TYPE],
                "response_types_supported": [],
                "token_endpoint_auth_methods_supported": ["none"],
                "scopes_supported": list(device_codes.ASKABLE),
            }
        )


def _form(request: Request) -> QueryDict:
    try:
        return QueryDict(bodies.raw(request), encoding="utf-8")
    except TooManyFieldsSent as error:
        raise PayloadTooLarge(str(error), "this address takes a handful of fields") from None


def _field(form: QueryDict, name: str) -> str:
    """A form's field, blank when it was not sent."""
    return form.get(name) or ""


def _wrong_form(form: QueryDict, *needed: str) -> Response | None:
    """The answer to a form without what is needed, or with a field that stands there twice (RFC 6749 §3.2)."""
    if twice := [name for name, values in form.lists() if len(values) > 1]:
        return _oauth_error("invalid_request", f"`{machines.clean(twice[0])[:40]}` is there more than once")
    missing = [name for name in needed if not form.get(name)]
    return _oauth_error("invalid_request", f"`{missing[0]}` is missing") if missing else None


def _oauth_error(error: str, description: str) -> Response:
    return device_views.answer(OAuthRefusal(error, description or msgspec.UNSET), 400)
