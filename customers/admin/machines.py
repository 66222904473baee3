"""The console's page of machines: what their clients say of themselves, and removing one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.widgets import UnfoldBooleanWidget

from core.clock import now
from customers import machines
from customers.admin.console import Question, ReadOnlyAdmin, action, actor
from customers.models import Machine

REMOVE = Question(
    "Remove this machine?",
    "It is forgotten. While its API key works, it appears again with its next lease, within minutes.",
    "Remove",
    "The machine is removed.",
)


class RemoveForm(forms.Form):
    """Whether its key goes too."""

    revoke_key = forms.BooleanField(required=False, widget=UnfoldBooleanWidget)

    def __init__(self, machine: Machine, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = len(machines.others_with_its_key(machine))
        shared = f": {others} other machine{'s' if others != 1 else ''} came with it too" if others else ""
        self.fields["revoke_key"].label = f"Revoke the API key it came with{shared}"


@admin.register(Machine)
class MachineAdmin(ReadOnlyAdmin):
    list_display = ("machine_name", "customer", "client_version", "os", "plugin_count", "last_seen_at")
    list_filter = ("client_version", "platform")
    list_select_related = ("customer",)
    search_fields = ("name", "machine", "public_id", "customer__name", "customer__public_id")
    fields = (
        "public_id",
        "customer",
        "name",
        "machine",
        "os",
        "platform",
        "client_version",
        "key_id",
        "first_seen_at",
        "last_seen_at",
        "reported_at",
        "plugins",
    )
    actions_detail = ("remove",)

    @admin.display(description="machine", ordering="name")
    def machine_name(self, machine: Machine) -> str:
        return str(machine)

    @admin.display(description="plugins")
    def plugin_count(self, machine: Machine) -> int:
        return len(machine.plugins)

    @action("Remove")
    def remove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.found(request, object_id)
        form = RemoveForm(row, request.POST if request.method == "POST" else None)
        return self.asked(
            request,
            REMOVE,
            row,
            lambda: machines.remove(
                row.customer,
                row.public_id,
                at=now(),
                actor=actor(request),
                revoke_key=bool(form.cleaned_data["revoke_key"]),
            ),
            form,
            leaves=True,
        )
