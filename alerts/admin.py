"""The console's pages of alerts, to look at: what customers watch, what happened, where it was told, and how that went.

Nothing is changed here: rules and destinations are their customer's. No page shows a secret, sealed or not.
"""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from alerts import words
from alerts.models import Attempt, Delivery, Destination, Incident, Rule
from customers.admin.console import ReadOnlyAdmin

SHOWN_TRIES = 20
_CUSTOMER = ("customer__name", "customer__public_id")


@admin.register(Rule)
class RuleAdmin(ReadOnlyAdmin):
    list_display = ("name", "customer", "kind", "condition", "enabled", "muted_until", "due_at")
    list_filter = ("kind", "enabled")
    list_select_related = ("customer",)
    search_fields = ("name", "public_id", *_CUSTOMER)

    @admin.display(description="condition")
    def condition(self, rule: Rule) -> str:
        return words.rule(rule)


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    list_display = ("name", "customer", "kind", "opened_at", "resolved_at", "acknowledged_by")
    list_filter = ("kind",)
    list_select_related = ("customer",)
    search_fields = ("name", "public_id", *_CUSTOMER)


@admin.register(Destination)
class DestinationAdmin(ReadOnlyAdmin):
    list_display = ("name", "customer", "channel", "url", "disabled_at", "disabled_because")
    list_filter = ("channel",)
    list_select_related = ("customer",)
    search_fields = ("name", "public_id", "url", *_CUSTOMER)
    fields = (
        *("public_id", "customer", "name", "channel", "url", "members", "created_at"),
        *("previous_until", "disabled_at", "disabled_because"),  # and no secret
    )


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "customer", "about", "address", "state", "tries", "created_at", "next_at")
    list_filter = ("state", "about")
    list_select_related = ("customer",)
    search_fields = ("public_id", "address", *_CUSTOMER)
    fields = (
        *("public_id", "customer", "destination", "incident", "about", "address", "subject", "body", "state", "tries"),
        *("created_at", "next_at", "give_up_at", "finished_at", "asked_at", "newest_tries"),
    )
    readonly_fields = ("newest_tries",)

    @admin.display(description="newest tries")
    def newest_tries(self, delivery: Delivery) -> SafeString:
        newest: list[Attempt] = list(delivery.attempts.order_by("-id")[:SHOWN_TRIES])
        rows = ((f"{each.at:%Y-%m-%d %H:%M:%S}", each.status or "", each.error, each.answer) for each in newest)
        return format_html_join("", "<p>{} {} {} {}</p>", rows)
