"""Addresses of this room."""

from __future__ import annotations

from django.urls import include, path

from plugins_registry import submission_views, views

_SUBMISSIONS = "api/registry/submissions"
_ONE = f"{_SUBMISSIONS}/<str:revision_id>"

urlpatterns = [
    path("", include("plugins_registry.repositories.urls")),
    path("api/plugins/authenticate", views.AuthenticateView.as_view(), name="plugins-authenticate"),
    path("api/plugins/validate", views.ValidateView.as_view(), name="plugins-validate"),
    path(_SUBMISSIONS, submission_views.SubmissionsView.as_view(), name="submissions"),
    path(_ONE, submission_views.SubmissionView.as_view(), name="submission"),
    path(f"{_ONE}/diff", submission_views.DifferenceView.as_view(), name="submission-diff"),
    path(f"{_ONE}/withdraw", submission_views.WithdrawView.as_view(), name="submission-withdraw"),
    path(f"{_ONE}/appeal", submission_views.AppealView.as_view(), name="submission-appeal"),
]
