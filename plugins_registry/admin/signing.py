"""The console's pages of what signs and what was signed: each role's keys, each repository, and when it expires.

Keys are rotated by a ceremony of people (`manage.py tuf_rotate`, docs/registry.md), not by a button: no page of a web
server should be able to name another key.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from customers.admin.console import ReadOnlyAdmin
from plugins_registry.models import RepositoryState, SigningRole


@admin.register(SigningRole)
class SigningRoleAdmin(ReadOnlyAdmin):
    list_display = ("role", "key_id", "held_by", "active", "created_at", "retired_at")
    list_filter = ("role", "active")
    search_fields = ("role", "key_id")
    fields = ("role", "key_id", "held_by", "active", "public", "created_at", "retired_at")
    readonly_fields = ("held_by",)

    @admin.display(description="private half")
    def held_by(self, key: SigningRole) -> str:
        """The kind of place, never the place."""
        return f"online, {key.uri.partition(':')[0]}" if key.uri else "offline, held by people"


@admin.register(RepositoryState)
class RepositoryStateAdmin(ReadOnlyAdmin):
    list_display = ("name", "version", "timestamp_version", "published_at", "dirty_since", "changes_at")
    list_filter = (("dirty_since", admin.EmptyFieldListFilter),)
    search_fields = ("name",)
    fields = (*list_display, "files_shown")
    readonly_fields = ("files_shown",)

    @admin.display(description="files")
    def files_shown(self, repository: RepositoryState) -> str:
        rows: QuerySet[Any, Any] = repository.files.order_by("-at", "path").values_list("path", "at")[:50]
        return ", ".join(f"{path} ({at:%-d %b, %H:%M})" for path, at in rows) or "none"

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)
