"""The reviewers' addresses."""

from __future__ import annotations

from django.urls import path

from plugins_registry import review_api

REVISION = "api/review/revisions/<str:public_id>"

urlpatterns = [
    path("api/review/keys", review_api.RegisterKeyView.as_view(), name="review-keys"),
    path("api/review/revisions", review_api.QueueView.as_view(), name="review-queue"),
    path(REVISION, review_api.RevisionView.as_view(), name="review-revision"),
    path(f"{REVISION}/payloads/<str:platform>", review_api.PayloadView.as_view(), name="review-payload"),
    path(f"{REVISION}/approvals", review_api.ApprovalView.as_view(), name="review-approvals"),
    path("api/review/releases", review_api.ReleasesView.as_view(), name="review-releases"),
]
