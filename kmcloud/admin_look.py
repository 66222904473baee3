"""The console's frame: its side and its mark. Unfold asks for them by name (`UNFOLD` in the settings).

    sidebar(request)   → [{"title": "Review", "items": [{"title": "Review queue", "link": "/admin/…"}, …]}, …]

What an operator does every day comes first, by what it is about; tables that nobody listed come last, so that a new one
is never lost. Each person sees only what their permissions let them look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from kmcloud import admin_health

GROUPS: dict[str, dict[str, str]] = {
    "Review": {
        "plugins_registry.revision": "Review queue",
        "plugins_registry.waiver": "False positives",
        "plugins_registry.block": "Blocks",
        "plugins_registry.reviewerkey": "Reviewers’ keys",
    },
    "Customers": {
        "customers.customer": "Customers",
        "customers.subscription": "Subscriptions",
        "customers.member": "Members",
        "customers.invitation": "Invitations",
        "customers.apikey": "API keys",
        "customers.machine": "Machines",
        "customers.devicegrant": "Logins by code",
        "customers.tier": "Tiers",
        "customers.feature": "Features",
    },
    "Plugins": {
        "plugins_registry.plugin": "Plugins",
        "plugins_registry.payloadbuild": "Builds",
        "plugins_registry.customerbuild": "Packages",
        "plugins_registry.repositorystate": "Repositories",
        "plugins_registry.signingrole": "Signing roles",
    },
    "Alerts": {
        "alerts.incident": "Incidents",
        "alerts.rule": "Rules",
        "alerts.destination": "Destinations",
        "alerts.delivery": "Messages",
    },
    "Service": {
        "events.quarantinedentry": "Quarantine",
        "events.inboxentry": "Inbox",
        "customers.signingkey": "Token signing keys",
        "customers.auditentry": "Audit log",
    },
    "Staff": {"auth.user": "People", "auth.group": "Groups"},
}
OTHERS = "Other tables"


def icon(_request: HttpRequest) -> str:
    """The mark beside the name."""
    return static("dashboard/favicon.svg")


def sheet(_request: HttpRequest) -> str:
    """What unfold has no class for."""
    return static("customers/console.css")


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups, each with what this person may look at."""
    open_to = dict(_open_to(request))
    first = [{"title": "What needs you", "link": reverse("admin:index")}]
    if request.user.has_perm(admin_health.PERMISSION):
        first.append({"title": "Health", "link": reverse("console_health")})
    groups: list[dict[str, Any]] = [{"items": first}]
    for title, tables in GROUPS.items():
        found = [{"title": words, "link": open_to[name][1]} for name, words in tables.items() if name in open_to]
        groups.append({"title": title, "items": found})
    listed = {name for tables in GROUPS.values() for name in tables}
    others = [{"title": words, "link": link} for name, (words, link) in open_to.items() if name not in listed]
    groups.append({"title": OTHERS, "items": others, "collapsible": True})
    return [group for group in groups if group["items"]]


def _open_to(request: HttpRequest) -> Iterator[tuple[str, tuple[str, str]]]:
    """(name, (its own words, its address)) of each table that this person may look at."""
    for model, page in admin.site._registry.items():
        if page.has_view_permission(request):
            meta = model._meta
            words = str(meta.verbose_name_plural)
            link = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
            yield meta.label_lower, (words[:1].upper() + words[1:], link)
