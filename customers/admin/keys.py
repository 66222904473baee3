"""The console's pages of API keys, refused tokens and signing keys. No page shows a hash or a private key."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from core.clock import now
from customers import api_keys, revocation, signing_keys
from customers.admin.console import ConsoleAdmin, Question, ReadOnlyAdmin, action, actor
from customers.admin.forms import IssueKeyForm
from customers.models import ApiKey, RevokedToken, SigningKey

_ISSUED = "issued_key"
"""The attribute that carries a new key from saving to answering, and is gone with the request."""

REVOKE = Question(
    "Revoke this API key?",
    "It and every token made from it are refused within a minute. This cannot be undone.",
    "Revoke",
    "The key is revoked.",
)
ROTATE = Question(
    "Rotate this API key?",
    "A replacement is issued and shown once. The old key works for 72 hours more.",
    "Rotate",
    "The key is rotated.",
)
ROTATE_SIGNING = Question(
    "Rotate the signing key?",
    "A new key is announced now and takes over in 15 minutes. Nobody notices.",
    "Rotate",
    "A new key is announced.",
)
REPLACE_SIGNING = Question(
    "Has a signing key leaked?",
    "Every key is dropped at once: all tokens and leases end within a minute.",
    "Drop all keys",
    "All keys are dropped; a new one signs.",
)


@admin.register(ApiKey)
class ApiKeyAdmin(ConsoleAdmin):
    list_display = ("prefix", "name", "customer", "may", "last_used_at", "expires_at", "revoked_at")
    list_filter = ("revoked_at", "expires_at")
    search_fields = ("name", "prefix", "public_id", "customer__name", "customer__public_id")
    autocomplete_fields = ("customer",)
    actions_detail = ("rotate", "revoke")
    _shown = (
        "public_id",
        "customer",
        "name",
        "prefix",
        "may",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
        "replaced_by",
    )

    @admin.display(description="may")
    def may(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return self._shown if obj else ("customer", "name", "scopes", "expires_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return self._shown if obj else ()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **(kwargs if obj else {**kwargs, "form": IssueKeyForm}))

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:  # noqa: ARG002
        issued = api_keys.issue(
            obj.customer, obj.name, at=now(), scopes=obj.scopes, expires_at=obj.expires_at, actor=actor(request)
        )
        obj.pk = issued.key.pk
        setattr(request, _ISSUED, issued)

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> Any:  # noqa: ARG002
        return self.secret_page(request, getattr(request, _ISSUED))

    @action("Rotate")
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.found(request, object_id)
        return self.asked(request, ROTATE, key, lambda: api_keys.rotate(key, at=now(), actor=actor(request)))

    @action("Revoke")
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.found(request, object_id)
        return self.asked(request, REVOKE, key, lambda: api_keys.revoke(key, at=now(), actor=actor(request)))


@admin.register(RevokedToken)
class RevokedTokenAdmin(ConsoleAdmin):
    list_display = ("jti", "customer", "revoked_at", "expires_at")
    search_fields = ("jti", "customer__name", "customer__public_id")
    autocomplete_fields = ("customer",)
    fields = ("customer", "jti", "expires_at")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def save_model(self, request: HttpRequest, obj: RevokedToken, form: Any, change: bool) -> None:  # noqa: ARG002
        revocation.revoke_token(obj.customer, obj.jti, expires_at=obj.expires_at, at=now(), actor=actor(request))
        obj.pk = RevokedToken.objects.get(jti=obj.jti).pk


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    list_display = ("kid", "state", "created_at", "activates_at", "retired_at", "removes_at")
    fields = ("kid", "state", "public_jwk", "created_at", "activates_at", "retired_at", "removes_at")
    actions_list = ("rotate", "replace_compromised")

    @action("Rotate")
    def rotate(self, request: HttpRequest) -> HttpResponse:
        self.check_may_act(request)
        return self.asked(request, ROTATE_SIGNING, None, lambda: signing_keys.rotate(at=now(), actor=actor(request)))

    @action("A key has leaked")
    def replace_compromised(self, request: HttpRequest) -> HttpResponse:
        self.check_may_act(request)
        return self.asked(
            request, REPLACE_SIGNING, None, lambda: signing_keys.replace_compromised(at=now(), actor=actor(request))
        )
