"""The reviewers' addresses, which `km-review` asks: each request is signed by a key that its owner registered.

No API key opens these and no session: a customer is no reviewer, and what a reviewer's browser holds cannot certify.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec
from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from km_protocol import reviewing
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import bodies
from core.clock import now
from core.described import ErrorAnswer, extend_schema
from core.errors import InvalidRequest, NotFound
from core.throttling import address_of
from plugins_registry import failures, review_answers, reviewer_keys
from plugins_registry.approvals import THRESHOLD, record_approval
from plugins_registry.models import ReviewerKey
from plugins_registry.review_schemas import (
    ApprovalAnswer,
    ApprovalRequest,
    RegisteredKey,
    RegisterKeyRequest,
    ReleaseDraft,
    ReleaseDrafts,
    ReleaseSignatureAnswer,
    ReleaseSignatureRequest,
    RevisionQueue,
    ShownRevision,
)

if TYPE_CHECKING:
    from plugins_registry.repositories import release

_REFUSALS = dict.fromkeys((400, 401, 403, 404, 409, 413, 429, 503), ErrorAnswer)


class ReviewerView(APIView):
    """An address for reviewers; `self.key` is whose key signed the request."""

    authentication_classes: tuple[type[Any], ...] = ()
    permission_classes: tuple[type[BasePermission], ...] = ()
    key: ReviewerKey

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Prove who asks, counting those who cannot."""
        super().initial(request, *args, **kwargs)
        with failures.counted(address_of(request), at=now()):
            self.key = reviewer_keys.asking(request._request, at=now())


class RegisterKeyView(APIView):
    authentication_classes: tuple[type[Any], ...] = ()
    permission_classes: tuple[type[BasePermission], ...] = ()

    @extend_schema(
        operation_id="review_register_key",
        tags=["review"],
        request=RegisterKeyRequest,
        responses={201: RegisteredKey, **_REFUSALS},
    )
    def post(self, request: Request) -> Response:
        """Register a reviewer's key, by its signature over the challenge that the console gave its owner."""
        with failures.counted(address_of(request), at=now()):
            asked = bodies.read(request, RegisterKeyRequest)
            key = reviewer_keys.register(asked.challenge, asked.public_key, asked.signature, at=now())
        return _answer(RegisteredKey(key.key_id, key.user.get_username()), 201)


class QueueView(ReviewerView):
    @extend_schema(operation_id="review_queue", tags=["review"], responses={200: RevisionQueue, **_REFUSALS})
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """What waits for a reviewer, the oldest first."""
        return _answer(RevisionQueue(review_answers.queue(self.key.user)))


class RevisionView(ReviewerView):
    @extend_schema(operation_id="review_revision", tags=["review"], responses={200: ShownRevision, **_REFUSALS})
    def get(self, request: Request, public_id: str) -> Response:  # noqa: ARG002
        """One revision, with the statements that wait for a signature."""
        return _answer(review_answers.shown(review_answers.revision_named(public_id), self.key))


class PayloadView(ReviewerView):
    @extend_schema(
        operation_id="review_payload",
        tags=["review"],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, **_REFUSALS},
    )
    def get(self, request: Request, public_id: str, platform: str) -> FileResponse:  # noqa: ARG002
        """The payload that was built, to recompute its digest."""
        build = review_answers.payload_of(review_answers.revision_named(public_id), platform)
        try:
            file = build.file.open("rb")
        except OSError:
            raise NotFound("the payload's file is not in storage", "the operator builds it again") from None
        return FileResponse(file, as_attachment=True, filename="payload.kmpkg", content_type="application/octet-stream")


class ApprovalView(ReviewerView):
    @extend_schema(
        operation_id="review_approve",
        tags=["review"],
        request=ApprovalRequest,
        responses={200: ApprovalAnswer, **_REFUSALS},
    )
    def post(self, request: Request, public_id: str) -> Response:
        """Hand in one's own signature under a payload's review statement."""
        asked = bodies.read(request, ApprovalRequest)
        revision = review_answers.revision_named(public_id)
        build = review_answers.payload_of(revision, asked.platform)
        record_approval(revision, asked.envelope.encode(), at=now())
        return _answer(ApprovalAnswer(len(review_answers.signatures(build)), THRESHOLD))


class ReleasesView(ReviewerView):
    @extend_schema(operation_id="review_releases", tags=["review"], responses={200: ReleaseDrafts, **_REFUSALS})
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """The catalog's metadata that waits for this reviewer's signature."""
        from plugins_registry.repositories import release  # noqa: PLC0415 - TUF, for the few who review: not at start

        return _answer(ReleaseDrafts([_draft(each) for each in release.pending(self.key, at=now())]))

    @extend_schema(
        operation_id="review_sign_release",
        tags=["review"],
        request=ReleaseSignatureRequest,
        responses={200: ReleaseSignatureAnswer, **_REFUSALS},
    )
    def post(self, request: Request) -> Response:
        """Hand in one's own signature under the catalog's metadata."""
        from plugins_registry.repositories import release  # noqa: PLC0415 - as above

        asked = bodies.read(request, ReleaseSignatureRequest)
        signature = reviewing.signature_from(asked.signature)
        if signature is None:
            raise InvalidRequest("`signature` is no Ed25519 signature in base64url", "use `km-review release`")
        published = release.accept(self.key, asked.repository, asked.role, asked.version, signature, at=now())
        return _answer(ReleaseSignatureAnswer(published))


def _draft(pending: release.Pending) -> ReleaseDraft:
    published = _base64(pending.published) if pending.published is not None else None
    return ReleaseDraft(pending.repository, pending.role, pending.version, _base64(pending.signed), published)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _answer(body: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.to_builtins(body), status)
