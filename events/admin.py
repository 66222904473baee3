"""The console's pages of this room: what waits, and what could not be stored, to be put back once its cause is fixed.

Bodies are customers' messages and are not shown.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from core import shared_clock
from customers.admin.console import ReadOnlyAdmin, action
from events import quarantine
from events.models import Heartbeat, InboxEntry, QuarantinedEntry

_SHOWN = ("customer_id", "received_at", "kind", "encoding", "events", "attempts", "error")


@admin.register(InboxEntry)
class InboxEntryAdmin(ReadOnlyAdmin):
    list_display = ("id", *_SHOWN)
    list_filter = ("kind",)
    fields = (*_SHOWN, "retry_at", "skipped")


@admin.register(QuarantinedEntry)
class QuarantinedEntryAdmin(ReadOnlyAdmin):
    list_display = ("id", "quarantined_at", *_SHOWN)
    list_filter = ("kind",)
    fields = ("quarantined_at", *_SHOWN, "skipped")
    actions = ("redrive",)

    @action(description="Put back into the inbox")
    def redrive(self, request: HttpRequest, chosen: QuerySet[QuarantinedEntry]) -> None:
        """Have the drain try the chosen rows again."""
        self.check_may_act(request)
        count = quarantine.redrive(chosen.values_list("pk", flat=True), now=shared_clock.now())
        messages.success(request, f"{count} put back; a worker stores them within seconds.")


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display: Any = ("name", "at", "pid")
    fields = ("name", "at", "pid")
