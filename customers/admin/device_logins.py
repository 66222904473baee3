"""The console's page of logins by code: what asked, from where, who let it in. To look at; no code is kept to show."""

from __future__ import annotations

from django.contrib import admin

from customers.admin.console import ReadOnlyAdmin
from customers.models import DeviceGrant


@admin.register(DeviceGrant)
class DeviceGrantAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "name", "client", "customer", "created_at", "approved_at", "denied_at", "redeemed_at")
    list_select_related = ("customer",)
    search_fields = ("public_id", "name", "machine", "address", "customer__name", "customer__public_id")
    fields = (*list_display, "machine", "os", "address", "scopes", "decided_by", "expires_at", "polled_at")
