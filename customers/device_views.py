"""The addresses of a login by code (RFC 8628), in the spelling of each kind of client.

    POST /api/auth/device-code/start, …/poll         camelCase JSON; `{"error": "authorization_pending"}` while it waits
    POST /oauth/device_authorization, /oauth/token   the RFC's own: forms in, snake_case out
    GET  /.well-known/oauth-authorization-server     where those are (RFC 8414)
    POST /api/auth/logout                            a machine gives its key back

Starting is limited by address, and so is polling with codes that do not exist; what one code may do is in its row.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.conf import settings
from django.http import QueryDict
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import bodies
from core.clock import now
from core.described import ErrorAnswer, extend_schema
from core.errors import InvalidRequest
from core.throttling import FailureLimit, address_of
from customers import api_keys, device_codes, machines
from customers.api_keys import Issued
from customers.authentication import IsCustomer, Principal
from customers.device_codes import Asking, Codes
from customers.device_schemas import (
    DeviceAuthorization,
    DeviceCodes,
    LoggedOut,
    OAuthRefusal,
    OAuthToken,
    PollAnswer,
    PollRefusal,
    PollRequest,
    PollToken,
    StartRequest,
)
from customers.errors import PollRefused
from customers.models import ApiKey
from customers.scopes import DEFAULT_SCOPES
from customers.views import PublicView

STARTS = FailureLimit("device-start", failures=60, window=timedelta(minutes=15))  # an office logs in behind one address
UNKNOWN_CODES = FailureLimit("device-poll", failures=60, window=timedelta(minutes=5))
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
NOT_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749 §5.1
_FORM = {"application/x-www-form-urlencoded": OpenApiTypes.OBJECT}


class StartView(PublicView):
    @extend_schema(
        operation_id="device_code_start",
        tags=["auth"],
        request=StartRequest,
        responses={200: DeviceCodes, 400: ErrorAnswer, 429: ErrorAnswer},
    )
    def post(self, request: Request) -> Response:
        """Begin a login: a code for the machine, and one for the person who is to confirm it."""
        asked = bodies.read(request, StartRequest) if request.body.strip() else StartRequest()
        asking = Asking(
            client=asked.clientId or asked.clientName,
            machine=asked.machine,
            name=asked.machineName,
            os=asked.os,
            scopes=asked.scopes or DEFAULT_SCOPES,
        )
        codes = _start(request, asking)
        return _answer(
            DeviceCodes(
                codes.device_code,
                codes.user_code,
                _confirm_page(),
                _confirm_page(codes.user_code),
                _seconds_good(codes),
                codes.grant.interval,
            )
        )


class PollView(PublicView):
    @extend_schema(
        operation_id="device_code_poll",
        tags=["auth"],
        request=PollRequest,
        responses={200: PollAnswer, 400: PollRefusal, 429: ErrorAnswer},
    )
    def post(self, request: Request) -> Response:
        """The machine's key, once somebody has confirmed it. Ask every `interval` seconds."""
        try:
            issued = _redeem(request, bodies.read(request, PollRequest).deviceCode)
        except PollRefused as refused:
            return _answer(PollRefusal(refused.word, refused.interval), 400)
        return _answer(PollAnswer(PollToken(issued.secret, _ends(issued), "Bearer")))


class DeviceAuthorizationView(PublicView):
    @extend_schema(
        operation_id="oauth_device_authorization",
        tags=["auth"],
        request=_FORM,
        responses={200: DeviceAuthorization, 400: OAuthRefusal},
    )
    def post(self, request: Request) -> Response:
        """RFC 8628 §3.1: `client_id`, and `scope` where less or more than the usual is wanted."""
        if wrong := _wrong_form(request, "client_id"):
            return wrong
        client, scope = _field(request, "client_id"), _field(request, "scope")
        try:
            codes = _start(request, Asking(client=client, scopes=scope.split() or DEFAULT_SCOPES))
        except InvalidRequest as error:
            return _oauth_error("invalid_scope", f"{error.message}: {error.hint}")
        answer = DeviceAuthorization(
            codes.device_code,
            codes.user_code,
            _confirm_page(),
            _confirm_page(codes.user_code),
            _seconds_good(codes),
            codes.grant.interval,
        )
        return _answer(answer)


class TokenView(PublicView):
    @extend_schema(
        operation_id="oauth_token", tags=["auth"], request=_FORM, responses={200: OAuthToken, 400: OAuthRefusal}
    )
    def post(self, request: Request) -> Response:
        """RFC 8628 §3.4: `grant_type`, `device_code`, `client_id`."""
        if wrong := _wrong_form(request, "grant_type"):
            return wrong
        if _field(request, "grant_type") != GRANT_TYPE:
            return _oauth_error("unsupported_grant_type", f"`grant_type` must be {GRANT_TYPE}")
        if wrong := _wrong_form(request, "device_code", "client_id"):
            return wrong
        at = now()
        try:
            issued = _redeem(request, _field(request, "device_code"), _field(request, "client_id"))
        except PollRefused as refused:
            return _oauth_error(refused.word, "")
        except InvalidRequest as error:  # confirmed, but there is no room for another key
            return _oauth_error("access_denied", f"{error.message}: {error.hint}")
        seconds = int((issued.key.expires_at - at).total_seconds()) if issued.key.expires_at else 0
        return _answer(OAuthToken(issued.secret, "Bearer", seconds, " ".join(issued.key.scopes)))


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


class LogoutView(APIView):
    permission_classes = (IsCustomer,)

    @extend_schema(operation_id="logout", tags=["auth"], request=None, responses={200: LoggedOut, 401: ErrorAnswer})
    def post(self, request: Request) -> Response:
        """Revoke the key of this machine's login. One that was issued by hand may be in use elsewhere: it stays."""
        principal = request.auth
        assert isinstance(principal, Principal)  # what IsCustomer lets through
        key = ApiKey.objects.select_related("customer").get(public_id=principal.key_id)
        is_login = api_keys.is_login(key)
        if is_login:
            api_keys.revoke(key, at=now(), actor=principal.actor, reason="its machine logged out")
        return _answer(LoggedOut(revoked=is_login))


def _start(request: Request, asking: Asking) -> Codes:
    at, address = now(), address_of(request)
    STARTS.check(address, now=at)
    STARTS.count(address, now=at)
    return device_codes.start(asking, address=address, at=at)


def _redeem(request: Request, device_code: str, client: str | None = None) -> Issued:
    at, address = now(), address_of(request)
    UNKNOWN_CODES.check(address, now=at)
    try:
        return device_codes.redeem(device_code, at=at, client=client)
    except PollRefused as refused:
        if refused.word in (device_codes.OVER, device_codes.NOT_YOURS):
            UNKNOWN_CODES.count(address, now=at)
        raise


def _confirm_page(user_code: str = "") -> str:
    page = settings.PUBLIC_URL + reverse("dashboard:device")
    return f"{page}?user_code={user_code}" if user_code else page


def _seconds_good(codes: Codes) -> int:
    return int((codes.grant.expires_at - codes.grant.created_at).total_seconds())


def _ends(issued: Issued) -> datetime:
    assert issued.key.expires_at is not None  # a login's key ends
    return issued.key.expires_at


def _field(request: Request, name: str) -> str:
    """A form's field, blank when it was not sent."""
    return QueryDict(request.body, encoding="utf-8").get(name) or ""


def _wrong_form(request: Request, *needed: str) -> Response | None:
    """The answer to a form without what is needed, or with a field that stands there twice (RFC 6749 §3.2)."""
    form = QueryDict(request.body, encoding="utf-8")
    if twice := [name for name, values in form.lists() if len(values) > 1]:
        return _oauth_error("invalid_request", f"`{machines.clean(twice[0])[:40]}` is there more than once")
    missing = [name for name in needed if not form.get(name)]
    return _oauth_error("invalid_request", f"`{missing[0]}` is missing") if missing else None


def _oauth_error(error: str, description: str) -> Response:
    return _answer(OAuthRefusal(error, description or msgspec.UNSET), 400)


def _answer(body: msgspec.Struct, code: int = 200) -> Response:
    told: Any = msgspec.to_builtins(body)
    return Response(told, code, headers=NOT_KEPT)
