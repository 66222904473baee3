"""The console's pages of this room: what waits, and what could not be stored, to be put back once its cause is fixed.

Bodies are customers' messages: only the beginning of one is ever shown, after a question and on record.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from core import shared_clock
from customers.admin import sections
from customers.admin.console import Question, ReadOnlyAdmin, action, actor
from customers.admin.sections import Cell, Section
from customers.models import Customer
from events import quarantine_acts
from events.models import DailyUsage, Heartbeat, InboxEntry, QuarantinedEntry

USAGE_DAYS = 14
LOOK = Question(
    "Look at how this request begins?",
    "It is a customer's message. That you looked is written to the customer's audit log.",
    "Show the beginning",
    "",
)
REDRIVE = Question(
    "Put this request back into the inbox?",
    "A worker tries to store it again within seconds. It comes back here if its cause is not fixed.",
    "Put back",
    "The request is back in the inbox.",
)
GIVE_UP = Question(
    "Delete this request?",
    "Its events are lost for good: the client was told that they are stored, and sends them no more.",
    "Delete",
    "The request is deleted.",
)
_SHOWN = ("customer", "received_at", "kind", "encoding", "events", "attempts", "error")


class ReasonForm(forms.Form):
    """Why something is deleted; the audit log keeps it."""

    reason = forms.CharField(max_length=quarantine_acts.MAX_REASON_CHARACTERS, widget=UnfoldAdminTextInputWidget)


class _OfCustomer(ReadOnlyAdmin):
    """Rows that hold a customer's number: its name stands in their place, from the same query."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        name = Customer.objects.filter(pk=OuterRef("customer_id")).values("name")[:1]
        named: QuerySet[Any] = rows.defer("body").annotate(customer_name=Subquery(name))
        return named

    @admin.display(ordering="customer_id")
    def customer(self, row: Any) -> SafeString:
        address = reverse("admin:customers_customer_change", args=(row.customer_id,))
        return format_html(
            '<a href="{}">{}</a>', address, row.customer_name or f"number {row.customer_id}, which is gone"
        )


@admin.register(InboxEntry)
class InboxEntryAdmin(_OfCustomer):
    list_display = ("id", *_SHOWN)
    list_filter = ("kind",)
    fields = (*_SHOWN, "retry_at", "skipped")
    show_full_result_count = False


@admin.register(QuarantinedEntry)
class QuarantinedEntryAdmin(_OfCustomer):
    list_display = ("id", "quarantined_at", *_SHOWN)
    list_filter = ("kind",)
    search_fields = ("error",)
    fields = ("quarantined_at", *_SHOWN, "skipped")
    actions = ("redrive_all",)
    actions_detail = ("redrive", "look", "give_up")

    @action(description="Put back into the inbox")
    def redrive_all(self, request: HttpRequest, chosen: QuerySet[QuarantinedEntry]) -> None:
        """Have the drain try the chosen rows again."""
        self.check_may_act(request)
        ids = list(chosen.values_list("pk", flat=True))
        count = quarantine_acts.redrive(ids, actor=actor(request), at=shared_clock.now())
        messages.success(request, f"{count} put back; a worker stores them within seconds.")

    @action("Put back")
    def redrive(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row, at = self.found(request, object_id), shared_clock.now()
        return self.asked(
            request,
            REDRIVE,
            row,
            lambda: quarantine_acts.redrive([row.pk], actor=actor(request), at=at),
            leaves=True,
        )

    @action("Look at the beginning")
    def look(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.found(request, object_id)
        if request.method != "POST":
            return self.asked(request, LOOK, row, lambda: None)
        seen = quarantine_acts.look(row, actor=actor(request), at=shared_clock.now())
        response = self._page(request, "events/beginning.html", row, title="How it begins", seen=seen)
        response["Cache-Control"] = "no-store"
        return response

    @action("Delete with a reason")
    def give_up(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.found(request, object_id)
        if not request.user.has_perm("events.delete_quarantinedentry"):
            raise PermissionDenied
        form, at = ReasonForm(request.POST or None), shared_clock.now()
        return self.asked(
            request,
            GIVE_UP,
            row,
            lambda: quarantine_acts.give_up(row, form.cleaned_data["reason"], actor=actor(request), at=at),
            form,
            leaves=True,
        )


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display: Any = ("name", "at", "pid")
    fields = ("name", "at", "pid")


def _usage(customer: Customer, at: datetime) -> Section:
    """What was sent on each of the last days; a day without a row is none of it."""
    since = at.astimezone(UTC).date() - timedelta(days=USAGE_DAYS - 1)
    found = DailyUsage.objects.filter(customer_id=customer.pk, day__gte=since).order_by("-day")
    columns = ("accepted", "stored", "duplicates", "refused", "bytes")
    rows = [
        [Cell(f"{row.day:%-d %b %Y}"), *(Cell(f"{getattr(row, name):,}", number=True) for name in columns)]
        for row in found
    ]
    title = f"Usage, the last {USAGE_DAYS} days"
    return Section(title, ("Day", *(name.capitalize() for name in columns)), rows, "Nothing was sent in these days.")


sections.add(40, _usage)
