"""The console's pages of plugins, blocks and remembered false positives: to look at.

What changes them is done to a revision, on its own page.
"""

from __future__ import annotations

from django.contrib import admin

from customers.admin.console import ReadOnlyAdmin
from plugins_registry.models import Block, Plugin, Waiver


@admin.register(Plugin)
class PluginAdmin(ReadOnlyAdmin):
    list_display = ("name", "owner", "visibility", "created_at", "public_id")
    list_filter = ("visibility",)
    search_fields = ("name", "public_id", "owner__name", "owner__public_id")
    fields = ("name", "public_id", "owner", "visibility", "created_at")
    list_select_related = ("owner",)


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
