"""The console's pages of tiers and features, and the audit log."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from customers import entitlement_hooks
from customers.admin import audit_filters
from customers.admin.console import AuditedAdmin, ReadOnlyAdmin
from customers.models import AuditChain, AuditEntry, Feature, Tier


@admin.register(Tier)
class TierAdmin(AuditedAdmin):
    list_display = ("name", "code", "events_per_day", "retention_days", "rank")
    fields = ("name", "code", "rank", "events_per_day", "retention_days", "features")
    formfield_overrides: ClassVar = {models.ManyToManyField: {"widget": UnfoldAdminCheckboxSelectMultipleWidget}}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return ("code",) if obj else ()  # programs know tiers by it

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """What its customers may run follows, in their plugin repositories too."""
        super().save_related(request, form, formsets, change)
        for subscription in form.instance.subscriptions.select_related("customer"):
            entitlement_hooks.changed(subscription.customer)


@admin.register(Feature)
class FeatureAdmin(AuditedAdmin):
    list_display = ("code", "name", "description")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return ("code",) if obj else ()


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "action", "customer_public_id", "subject")
    list_filter = (audit_filters.SinceFilter, audit_filters.ActionFilter)
    search_fields = ("actor", "action", "customer_public_id", "subject")
    fields = ("at", "actor", "action", "customer_public_id", "subject", "details", "number", "previous", "hash")


@admin.register(AuditChain)
class AuditChainAdmin(ReadOnlyAdmin):
    """The ends of the chains; `manage.py verify_audit` recomputes them."""

    list_display = ("key", "entries", "head")
    search_fields = ("key",)
    fields = ("key", "entries", "head")
