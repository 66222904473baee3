"""The console's pages of the people who sign in and their permissions: Django's own, in the console's dress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from core.clock import now
from customers import audit
from customers.admin.console import ReadOnlyAdmin, actor
from kmcloud.models import HealthChange

if TYPE_CHECKING:  # unfold has no types; its ModelAdmin is Django's own, dressed
    from django.contrib.admin import ModelAdmin
else:
    from unfold.admin import ModelAdmin

_SIGN_IN_APPS = ("account", "mfa", "usersessions", "socialaccount")


def hide_sign_in_tables() -> None:
    """No pages of second factors' secrets and people's sessions; called once every app has registered its own."""
    for label in _SIGN_IN_APPS:
        for model in apps.get_app_config(label).get_models():
            if admin.site.is_registered(model):
                admin.site.unregister(model)


class _Recorded:
    """Every change of who may do what is in the audit log of no customer."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record("added", request, obj, message)
        return super().log_addition(request, obj, message)  # type: ignore[misc]

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record("changed", request, obj, message)
        return super().log_change(request, obj, message)  # type: ignore[misc]

    def _record(self, what: str, request: HttpRequest, row: Any, message: Any) -> None:
        """`message` is Django's: which fields changed, and never to what."""
        kind = row._meta.model_name
        told = message if isinstance(message, list) else [str(message)]
        audit.record(f"{kind}.{what}", subject=f"{kind}:{row}", at=now(), actor=actor(request), changes=told)


@admin.register(HealthChange)
class HealthChangeAdmin(ReadOnlyAdmin):
    """What the page of health shows the newest of."""

    list_display = ("at", "name", "status", "detail")
    list_filter = ("name", "status")
    fields = ("at", "name", "status", "detail")


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(_Recorded, PlainUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """People are not deleted: their reviews and their places as owners stay. They are made inactive."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(_Recorded, PlainGroupAdmin, ModelAdmin):  # type: ignore[type-arg]
    """Sets of permissions."""
