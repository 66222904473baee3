"""The console's page of reviewers' keys: everybody registers their own, from the machine that holds it.

The page gives a challenge; `km-review key register` signs it there. There is no field for a private key, nor for
somebody else's public one. A key is revoked by its owner, or by whoever may change rows of this kind.
"""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from core.clock import now
from customers.admin.console import Question, ReadOnlyAdmin, action, actor
from plugins_registry import reviewer_keys
from plugins_registry.admin.forms import ReasonForm
from plugins_registry.models import ReviewerKey

REVOKE = Question(
    "Revoke this reviewer's key?",
    "It signs nothing more, and no longer counts for what is not published yet. This cannot be undone.",
    "Revoke",
    "The key is revoked.",
)


@admin.register(ReviewerKey)
class ReviewerKeyAdmin(ReadOnlyAdmin):
    list_display = ("key_id", "user", "added_at", "revoked_at")
    list_filter = ("revoked_at",)
    search_fields = ("key_id", "user__username")
    fields = ("key_id", "user", "public_key", "added_at", "revoked_at")
    list_select_related = ("user",)
    actions_list = ("register",)
    actions_detail = ("revoke",)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_reviewer(request) or super().has_module_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if super().has_view_permission(request, obj):
            return True
        return _is_reviewer(request) and (obj is None or obj.user_id == request.user.pk)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows if super().has_view_permission(request) else rows.filter(user_id=request.user.pk)

    @action("Register a key")
    def register(self, request: HttpRequest) -> HttpResponse:
        """Show a challenge for whoever is signed in, and for nobody else."""
        if not _is_reviewer(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Register a reviewer's key",
            "challenge": reviewer_keys.challenge(cast(User, request.user)),
            "minutes": int(reviewer_keys.CHALLENGE_GOOD_FOR.total_seconds() // 60),
            "server": request.build_absolute_uri("/").rstrip("/"),
            "back": self._back(None),
        }
        response = TemplateResponse(request, "admin/plugins_registry/reviewerkey/register.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @action("Revoke")
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.get_object(request, object_id)
        if key is None:
            raise Http404
        if key.user_id != request.user.pk and not self.may_act(request):
            raise PermissionDenied
        form = ReasonForm(request.POST or None)
        return self.asked(
            request,
            REVOKE,
            key,
            lambda: reviewer_keys.revoke(key, actor=actor(request), at=now(), reason=str(form.cleaned_data["reason"])),
            form,
        )


def _is_reviewer(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and reviewer_keys.is_reviewer(request.user)
