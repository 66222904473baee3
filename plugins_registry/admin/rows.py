"""The console's pages of plugins, builds, blocks and remembered false positives: to look at.

What changes them is done to a revision, on its own page.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from customers.admin.console import ReadOnlyAdmin
from plugins_registry.models import Block, CustomerBuild, PayloadBuild, Plugin, Waiver


@admin.register(Plugin)
class PluginAdmin(ReadOnlyAdmin):
    list_display = ("name", "owner", "visibility", "created_at", "public_id")
    list_filter = ("visibility",)
    search_fields = ("name", "public_id", "owner__name", "owner__public_id")
    fields = ("name", "public_id", "owner", "visibility", "created_at")
    list_select_related = ("owner",)


@admin.register(PayloadBuild)
class PayloadBuildAdmin(ReadOnlyAdmin):
    list_display = ("plugin", "platform", "state", "second_build_matches", "created_at", "built_at")
    list_filter = ("state", "platform", "second_build_matches")
    search_fields = ("payload_digest", "source_sha256", "revision__public_id", "revision__version__plugin__name")
    fields = (
        "revision",
        "platform",
        "state",
        "payload_digest",
        "source_sha256",
        "second_build_matches",
        "created_at",
        "built_at",
        "steps",
        "log",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related("revision__version__plugin").defer("log", "sbom", "provenance")

    @admin.display(ordering="revision", description="revision")
    def plugin(self, build: PayloadBuild) -> str:
        return str(build.revision)


@admin.register(CustomerBuild)
class CustomerBuildAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "plugin", "customer", "state", "built_at", "expires_at", "revoked_at")
    list_filter = ("state", "revoked_at")
    search_fields = ("public_id", "sha256", "customer__name", "customer__public_id")
    fields = (
        "public_id",
        "payload",
        "customer",
        "state",
        "sha256",
        "size",
        "build_key_public",
        "created_at",
        "built_at",
        "expires_at",
        "revoked_at",
        "steps",
        "log",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related("payload__revision__version__plugin", "customer").defer("log")

    @admin.display(description="plugin")
    def plugin(self, build: CustomerBuild) -> str:
        return f"{build.payload.revision} {build.payload.platform}"


@admin.register(Block)
class BlockAdmin(ReadOnlyAdmin):
    list_display = ("plugin", "version", "level", "reason", "actor", "at", "lifted_at")
    list_filter = ("level", "lifted_at")
    search_fields = ("plugin__name", "sha256", "reason")
    fields = ("plugin", "version", "sha256", "level", "reason", "actor", "at", "lifted_at")
    list_select_related = ("plugin", "version__plugin")


@admin.register(Waiver)
class WaiverAdmin(ReadOnlyAdmin):
    list_display = ("plugin", "rule", "reason", "reviewer", "at")
    search_fields = ("plugin__name", "rule", "fingerprint", "reason")
    fields = ("plugin", "rule", "fingerprint", "reason", "reviewer", "at")
    list_select_related = ("plugin", "reviewer")
