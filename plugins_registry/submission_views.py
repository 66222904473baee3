"""The addresses authors submit to. Each decodes, calls, encodes.

    POST /api/registry/submissions?visibility=private      the source archive is the body
    GET  /api/registry/submissions?plugin=slow-tools&state=rejected&limit=50
    GET  /api/registry/submissions/rev_…                   findings, place in the queue, history
    GET  /api/registry/submissions/rev_…/diff              against the last approved revision
    POST /api/registry/submissions/rev_…/withdraw          POST …/appeal {"text": "…"}

They take the scope `plugins:submit`, which a laptop's key has not: a stolen one submits nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpRequest
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from km_protocol.kmpkg.source_archive import MEDIA_TYPE
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import bodies
from core.clock import now
from core.described import ErrorAnswer, extend_schema
from customers.authentication import IsCustomer, Principal, may
from customers.models import Customer
from customers.scopes import Scope
from plugins_registry import appeals, queries, submission_pages, submissions, uploads, withdrawal
from plugins_registry.models import Plugin, Revision
from plugins_registry.plugin_names import PRIVATE_FEATURE
from plugins_registry.submission_schemas import AppealRequest, DifferenceAnswer, SubmissionAnswer, SubmissionPage

_TAGS = ["registry"]
_ERRORS = dict.fromkeys((401, 403, 404), ErrorAnswer)
_LISTED = [
    OpenApiParameter("plugin", str, description="Only this plugin's."),
    OpenApiParameter("state", str, description="Only those in this state."),
    OpenApiParameter("limit", int, description="How many, 1 to 500."),
    OpenApiParameter("cursor", str, description="The `next` of the page before."),
]
_VISIBILITY = OpenApiParameter(
    "visibility", str, enum=Plugin.Visibility.values, description="Of a new plugin; `public` unless it says otherwise."
)


class SourceParser(BaseParser):
    """Leaves the body to be streamed, whatever it is called; the view reads it under its cap."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:  # noqa: ARG002
        return {}


class AuthorView(APIView):
    """An address for an author's programs."""

    permission_classes = (IsCustomer, may(Scope.PLUGINS_SUBMIT))


class SubmissionsView(AuthorView):
    parser_classes = (SourceParser,)

    @extend_schema(
        operation_id="submissions_list",
        tags=_TAGS,
        parameters=_LISTED,
        responses={200: SubmissionPage, 400: ErrorAnswer, 401: ErrorAnswer, 403: ErrorAnswer},
    )
    def get(self, request: Request) -> Response:
        """List your organisation's submissions, newest first."""
        asked = request.query_params
        found = submission_pages.page(
            _principal(request).customer_id,
            plugin=asked.get("plugin", ""),
            state=asked.get("state", ""),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return _answer(found)

    @extend_schema(
        operation_id="submissions_create",
        tags=_TAGS,
        parameters=[_VISIBILITY],
        request={MEDIA_TYPE: OpenApiTypes.BINARY},
        responses={
            200: SubmissionAnswer,
            201: SubmissionAnswer,
            **dict.fromkeys((400, 401, 403, 409, 413, 429, 503), ErrorAnswer),
        },
    )
    def post(self, request: Request) -> Response:
        """Submit a source, at most 64 MiB, as `km-client plugin submit` packs it. Sent again, it is the same one."""
        principal, moment, visibility = _principal(request), now(), request.query_params.get("visibility", "")
        with uploads.received(_plain(request)) as upload:
            made = submissions.submit(
                Customer.objects.get(pk=principal.customer_id),
                upload,
                visibility=visibility,
                private=PRIVATE_FEATURE in principal.features,
                actor=_actor(principal),
                at=moment,
            )
        answer = submission_pages.one(made.revision, at=moment, created=made.created)
        return _answer(answer, 201 if made.created else 200)


class SubmissionView(AuthorView):
    @extend_schema(operation_id="submissions_read", tags=_TAGS, responses={200: SubmissionAnswer, **_ERRORS})
    def get(self, request: Request, revision_id: str) -> Response:
        """Where a submission stands: its checks, findings, reviews, place in the queue and history."""
        return _answer(submission_pages.one(_own(request, revision_id), at=now()))


class DifferenceView(AuthorView):
    @extend_schema(operation_id="submissions_diff", tags=_TAGS, responses={200: DifferenceAnswer, **_ERRORS})
    def get(self, request: Request, revision_id: str) -> Response:
        """What changed since the plugin's last approved revision."""
        return _answer(submission_pages.difference(_own(request, revision_id)))


class WithdrawView(AuthorView):
    @extend_schema(
        operation_id="submissions_withdraw",
        tags=_TAGS,
        request=None,
        responses={200: SubmissionAnswer, 409: ErrorAnswer, **_ERRORS},
    )
    def post(self, request: Request, revision_id: str) -> Response:
        """Take a submission back, as long as it is not being built."""
        moment, found = now(), _own(request, revision_id)
        done = withdrawal.withdraw(found, actor=_actor(_principal(request)), at=moment)
        return _answer(submission_pages.one(done, at=moment))


class AppealView(AuthorView):
    @extend_schema(
        operation_id="submissions_appeal",
        tags=_TAGS,
        request=AppealRequest,
        responses={200: SubmissionAnswer, 400: ErrorAnswer, 409: ErrorAnswer, **_ERRORS},
    )
    def post(self, request: Request, revision_id: str) -> Response:
        """Object to a rejection. Somebody who did not reject it decides."""
        moment, found = now(), _own(request, revision_id)
        asked = bodies.read(request, AppealRequest)
        appeals.appeal(found, asked.text, actor=_actor(_principal(request)), at=moment)
        return _answer(submission_pages.one(_own(request, revision_id), at=moment))


def _own(request: Request, revision_id: str) -> Revision:
    return queries.submission(_principal(request).customer_id, revision_id)


def _answer(body: msgspec.Struct, code: int = 200) -> Response:
    return Response(msgspec.to_builtins(body), code)


def _actor(principal: Principal) -> str:
    return f"key:{principal.key_id}"


def _plain(request: Request) -> HttpRequest:
    plain: HttpRequest = request._request
    return plain


def _principal(request: Request) -> Principal:
    principal = request.auth
    assert isinstance(principal, Principal)  # what IsCustomer lets through
    return principal
