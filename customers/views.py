"""This room's addresses: each decodes, calls, encodes. What is wrong is raised and encoded in one place."""

from __future__ import annotations

from typing import Any

import msgspec
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import bodies
from core.clock import now
from core.described import ErrorAnswer, extend_schema
from core.throttling import address_of
from customers import api_keys, exchange, key_pages, leaks, machines, signing_keys, status
from customers.authentication import IsCustomer, Principal, may
from customers.models import Customer
from customers.schemas import (
    CustomerAnswer,
    Done,
    ExchangeRequest,
    IssuedKey,
    IssueRequest,
    KeyPage,
    LeakReport,
    StatusAnswer,
    TokenAnswer,
    key_answer,
)
from customers.scopes import Scope

_MACHINE = OpenApiParameter("machine", str, description="The machine the lease is for; also `X-Km-Machine`.")
_LIMIT = OpenApiParameter("limit", int, description="How many, 1 to 500.")
_CURSOR = OpenApiParameter("cursor", str, description="The `next` of the page before.")
_ERRORS = {401: ErrorAnswer, 403: ErrorAnswer, 404: ErrorAnswer}


def _answer(body: msgspec.Struct, code: int = 200) -> Response:
    return Response(msgspec.to_builtins(body), code)


def _principal(request: Request) -> Principal:
    principal = request.auth
    assert isinstance(principal, Principal)  # what IsCustomer lets through
    return principal


class PublicView(APIView):
    """An address for anyone: credentials, even bad ones, are not looked at."""

    authentication_classes: tuple[type[Any], ...] = ()
    permission_classes: tuple[type[BasePermission], ...] = ()


class ExchangeView(PublicView):
    @extend_schema(
        operation_id="exchange",
        tags=["auth"],
        request=ExchangeRequest,
        responses={200: TokenAnswer, 400: ErrorAnswer, 401: ErrorAnswer, 429: ErrorAnswer},
    )
    def post(self, request: Request) -> Response:
        """Exchange an API key for a token."""
        asked = bodies.read(request, ExchangeRequest)
        minted = exchange.exchange(asked.key(), address=address_of(request), at=now())
        return _answer(TokenAnswer(minted.token, minted.expires_in, minted.expires_in))


class KeySetView(PublicView):
    @extend_schema(operation_id="key_set", tags=["auth"], responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """The public keys that verify tokens and leases (RFC 7517)."""
        max_age = int(signing_keys.JWKS_MAX_AGE.total_seconds())
        keys = signing_keys.key_set(at=now())
        return Response(keys, headers={"Cache-Control": f"public, max-age={max_age}"})


class CustomerView(APIView):
    permission_classes = (IsCustomer,)

    @extend_schema(operation_id="customer", tags=["customer"], responses={200: CustomerAnswer, 401: ErrorAnswer})
    def get(self, request: Request) -> Response:
        """Who this key or token belongs to."""
        return _answer(status.describe(_principal(request), at=now()))


class StatusView(APIView):
    permission_classes = (IsCustomer,)

    @extend_schema(
        operation_id="subscription_status",
        tags=["customer"],
        parameters=[_MACHINE],
        responses={200: StatusAnswer, 400: ErrorAnswer, 401: ErrorAnswer},
    )
    def get(self, request: Request) -> Response:
        """Tier, features, quotas and what is left of them, and a signed lease."""
        machine = request.query_params.get("machine") or request.headers.get("X-Km-Machine", "")
        principal, at = _principal(request), now()
        answer = status.report(principal, machine=machine, at=at)
        if machine:
            machines.seen(principal, machine, request.headers.get("User-Agent", ""), at=at)
        return _answer(answer)


class KeysView(APIView):
    permission_classes = (IsCustomer, may(Scope.KEYS_MANAGE))

    @extend_schema(
        operation_id="keys_list", tags=["keys"], parameters=[_LIMIT, _CURSOR], responses={200: KeyPage, **_ERRORS}
    )
    def get(self, request: Request) -> Response:
        """The customer's API keys, newest first."""
        parameters = request.query_params
        return _answer(key_pages.page(_customer(request), parameters.get("limit"), parameters.get("cursor")))

    @extend_schema(
        operation_id="keys_issue",
        tags=["keys"],
        request=IssueRequest,
        responses={201: IssuedKey, 400: ErrorAnswer, **_ERRORS},
    )
    def post(self, request: Request) -> Response:
        """Issue a key. Its secret is in this answer and nowhere else."""
        asked = bodies.read(request, IssueRequest)
        issued = api_keys.issue(
            _customer(request),
            asked.name,
            at=now(),
            scopes=asked.scopes,
            expires_at=asked.expires_at,
            actor=_principal(request).actor,
        )
        return _answer(IssuedKey(key_answer(issued.key), issued.secret), 201)


class KeyView(APIView):
    permission_classes = (IsCustomer, may(Scope.KEYS_MANAGE))

    @extend_schema(operation_id="keys_revoke", tags=["keys"], responses={200: Done, **_ERRORS})
    def delete(self, request: Request, key_id: str) -> Response:
        """Revoke a key and every token made from it."""
        key = api_keys.get(_customer(request), key_id)
        api_keys.revoke(key, at=now(), actor=_principal(request).actor)
        return _answer(Done())


class RotateView(APIView):
    permission_classes = (IsCustomer, may(Scope.KEYS_MANAGE))

    @extend_schema(
        operation_id="keys_rotate",
        tags=["keys"],
        request=None,
        responses={201: IssuedKey, 409: ErrorAnswer, **_ERRORS},
    )
    def post(self, request: Request, key_id: str) -> Response:
        """Issue a replacement; the old key works for 72 hours more."""
        key = api_keys.get(_customer(request), key_id)
        issued = api_keys.rotate(key, at=now(), actor=_principal(request).actor)
        return _answer(IssuedKey(key_answer(issued.key), issued.secret), 201)


class LeakView(PublicView):
    @extend_schema(
        operation_id="keys_report_leak",
        tags=["keys"],
        request=LeakReport,
        responses={200: Done, 400: ErrorAnswer, 429: ErrorAnswer},
    )
    def post(self, request: Request) -> Response:
        """Report a key found in public. It is revoked at once; the answer never says whether it existed."""
        found = bodies.read(request, LeakReport)
        leaks.report(found.key, address=address_of(request), at=now())
        return _answer(Done())


def _customer(request: Request) -> Customer:
    return Customer.objects.get(pk=_principal(request).customer_id)
