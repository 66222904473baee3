"""The console's pages of the people who sign in for customers. The last owner stays one, here as on their own page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from core.clock import now
from customers import accounts, members
from customers.admin.console import ConsoleAdmin, ReadOnlyAdmin, actor
from customers.admin.forms import NewMemberForm
from customers.models import Invitation, Member


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """To look at. Owners and admins invite on their own pages; nothing here shows a link."""

    list_display = ("email", "customer", "role", "invited_by", "created_at", "expires_at", "accepted_at", "revoked_at")
    search_fields = ("email", "customer__name", "customer__public_id")
    fields = ("public_id", *list_display, "organisation", "sent")


@admin.register(Member)
class MemberAdmin(ConsoleAdmin):
    list_display = ("user", "customer", "role", "created_at")
    list_filter = ("role",)
    search_fields = ("user__email", "customer__name", "customer__public_id")
    autocomplete_fields = ("customer",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return self.may_act(request)  # people leave

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return ("user", "customer", "role", "created_at") if obj else ("customer", "role", "email", "password")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return ("user", "customer", "created_at") if obj else ()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **(kwargs if obj else {**kwargs, "form": NewMemberForm}))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            members.change_role(obj.customer, obj.pk, form.cleaned_data["role"], by=actor(request), at=now())
            return
        email, password = form.cleaned_data["email"], form.cleaned_data["password"]
        made = accounts.add_member(obj.customer, email, password, obj.role, at=now(), actor=actor(request))
        obj.pk, obj.user = made.pk, made.user

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        members.remove(obj.customer, obj.pk, by=actor(request), at=now())

    def get_actions(self, request: HttpRequest) -> Any:  # noqa: ARG002
        return {}  # one at a time: Django's own deletion of many asks nobody whether an owner is left
