"""The addresses of a login by code (RFC 8628), as existing clients spell it; `oauth_views` has the RFC's own.

    POST /api/auth/device-code/start, …/poll         camelCase JSON; `{"error": "authorization_pending"}` while it waits
    POST /api/auth/logout                            a machine gives its key back

Starting is limited by address, and so is polling with codes that do not exist; what one code may do is in its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.conf import settings
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import bodies
from core.clock import now
from core.described import ErrorAnswer, extend_schema
from core.errors import InvalidRequest, TooManyRequests, headers
from core.throttling import FailureLimit, address_of
from customers import api_keys, device_codes
from customers.api_keys import Issued
from customers.authentication import IsCustomer, Principal
from customers.device_codes import Asking, Codes
from customers.device_schemas import (
    DeviceCodes,
    LoggedOut,
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

STARTS = FailureLimit("device-start", 60, timedelta(minutes=15), "logins begun")  # an office has one address
UNKNOWN_CODES = FailureLimit("device-poll", 60, timedelta(minutes=5), "polls with codes that are none")
NOT_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749 §5.1


class StartView(PublicView):
    @extend_schema(
        operation_id="device_code_start",
        tags=["auth"],
        request=StartRequest,
        responses={200: DeviceCodes, 400: ErrorAnswer, 429: ErrorAnswer},
    )
    def post(self, request: Request) -> Response:
        """Begin a login: a code for the machine, and one for the person who is to confirm it."""
        body = bodies.raw(request)
        asked = bodies.decode(body, StartRequest) if body.strip() else StartRequest()
        asking = Asking(
            client=asked.clientId or asked.clientName or "",
            machine=asked.machine or "",
            name=asked.machineName or "",
            os=asked.os or "",
            scopes=asked.scopes or DEFAULT_SCOPES,
        )
        codes = start(request, asking)
        return answer(
            DeviceCodes(
                codes.device_code,
                codes.user_code,
                confirm_page(),
                confirm_page(codes.user_code),
                seconds_good(codes),
                codes.grant.interval,
            )
        )


class PollView(PublicView):
    @extend_schema(
        operation_id="device_code_poll",
        tags=["auth"],
        request=PollRequest,
        responses={200: PollAnswer, 400: PollRefusal, 429: PollRefusal},
    )
    def post(self, request: Request) -> Response:
        """The machine's key, once somebody has confirmed it. Ask every `interval` seconds."""
        device_code = bodies.read(request, PollRequest).deviceCode
        try:
            issued = redeem(request, device_code)
        except PollRefused as refused:
            return answer(PollRefusal(refused.word, refused.interval), 400)
        except TooManyRequests as error:  # existing clients read `error` as a word, whatever the status
            told = PollRefusal(device_codes.TOO_FAST, error.retry_after, error.message)
            return answer(told, error.status, headers(error))
        except InvalidRequest as error:  # confirmed, and the last room for a key was taken since
            return answer(PollRefusal(device_codes.DENIED, None, f"{error.message}: {error.hint}"), 400)
        return answer(PollAnswer(PollToken(issued.secret, _ends(issued), "Bearer")))


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
        return answer(LoggedOut(revoked=is_login))


def start(request: Request, asking: Asking) -> Codes:
    at, address = now(), address_of(request)
    STARTS.check(address, now=at)
    STARTS.count(address, now=at)
    return device_codes.start(asking, address=address, at=at)


def redeem(request: Request, device_code: str, client: str | None = None) -> Issued:
    at, address = now(), address_of(request)
    UNKNOWN_CODES.check(address, now=at)
    try:
        return device_codes.redeem(device_code, at=at, client=client)
    except PollRefused as refused:
        if refused.word in (device_codes.OVER, device_codes.NOT_YOURS):
            UNKNOWN_CODES.count(address, now=at)
        raise


def confirm_page(user_code: str = "") -> str:
    page = settings.PUBLIC_URL + reverse("dashboard:device")
    return f"{page}?user_code={user_code}" if user_code else page


def seconds_good(codes: Codes) -> int:
    return int((codes.grant.expires_at - codes.grant.created_at).total_seconds())


def _ends(issued: Issued) -> datetime:
    assert issued.key.expires_at is not None  # a login's key ends
    return issued.key.expires_at


def answer(body: msgspec.Struct, code: int = 200, more: Mapping[str, str] | None = None) -> Response:
    told: Any = msgspec.to_builtins(body)
    return Response(told, code, headers={**NOT_KEPT, **(more or {})})
