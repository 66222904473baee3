"""How the console narrows the audit log, which only ever grows: nothing here reads all of it to say what there is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from core.clock import now
from customers.models import AuditEntry

NEWEST = 1_000  # entries whose actions are offered; the search finds any other
SPANS = {"24h": ("24 hours", 1), "7d": ("7 days", 7), "30d": ("30 days", 30), "365d": ("A year", 365)}


class SinceFilter(SimpleListFilter):
    """The last day, week, month or year."""

    title = "time"
    parameter_name = "since"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        return [(code, words) for code, (words, _) in SPANS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        if (chosen := self.value()) not in SPANS:
            return queryset
        return queryset.filter(at__gte=now() - timedelta(days=SPANS[chosen][1]))


class ActionFilter(SimpleListFilter):
    """One kind of act, of those that were done lately."""

    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        newest = AuditEntry.objects.order_by("-pk").values_list("action", flat=True)[:NEWEST]
        return [(each, each) for each in sorted(set(newest))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        return queryset.filter(action=self.value()) if self.value() else queryset
