"""The review queue as a list: who waits, how long, for what, and with how much risk. The oldest first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.clock import now
from plugins_registry import queries, review_page
from plugins_registry.lifecycle import REVIEWED, State
from plugins_registry.models import Finding, Revision, Severity

QUEUE = "queue"
STAGES: dict[str, tuple[str, Q]] = {
    QUEUE: ("Waiting for a review", Q(state__in=REVIEWED)),
    "signatures": ("Waiting for signatures", Q(state=State.CERTIFIED)),
    "appeals": ("Appeals", Q(state=State.REJECTED, appeals__outcome="", appeals__isnull=False)),
    "scan_errors": ("A check could not run", Q(state=State.SCAN_ERROR)),
    "stopped": ("Off the shelf", Q(state__in=(State.QUARANTINED, State.YANKED, State.BLOCKED))),
    "published": ("Published", Q(state=State.PUBLISHED)),
    "all": ("All", Q()),
}
GRAVE = (Severity.HIGH, Severity.CRITICAL)
_RISK_TONES = {"high": "bad", "medium": "warn", "low": "good"}
_STATE_TONES = {State.REJECTED: "bad", State.BLOCKED: "bad", State.INVALID: "bad", State.PUBLISHED: "good"}
_WARNINGS = {State.SCAN_ERROR, State.CHANGES_REQUESTED, State.QUARANTINED, State.YANKED}


class StageFilter(admin.SimpleListFilter):
    """What is shown; the queue when nobody says."""

    title = "stage"
    parameter_name = "stage"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        return [(code, label) for code, (label, _) in STAGES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        _, condition = STAGES.get(self.value() or QUEUE, STAGES[QUEUE])
        return queryset.filter(condition)

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Without Django's own "All", which would say of the queue that it is everything."""
        chosen = self.value() or QUEUE
        for code, (label, _) in STAGES.items():
            address = changelist.get_query_string({self.parameter_name: code})
            yield {"selected": code == chosen, "query_string": address, "display": label}


def tone(state: str) -> str:
    """The colour of a state's badge; its words carry the meaning."""
    known = State(state)
    return _STATE_TONES.get(known, "warn" if known in _WARNINGS else "")


def waited(revision: Revision) -> str:
    """`3 d 4 h`, `5 h 12 min`, `40 min`: since it took its place in the queue."""
    return span(now() - revision.queued_at)


def span(time: timedelta) -> str:
    """A time as people say it, from minutes to days."""
    minutes = max(0, int(time.total_seconds() // 60))
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60:02d} min" if hours else f"{minutes} min"


_OPEN = Finding.objects.filter(revision=OuterRef("pk"), waived=False)
_PREVIOUS = queries.approved_before(OuterRef("version__plugin_id"), OuterRef("pk"))


def rows(queryset: QuerySet[Any]) -> QuerySet[Any]:
    """What the list shows of each revision, in one query; `previous_manifest` is of what it is compared with. Each is
    asked of a row by itself: a page of fifty counts nothing of all the others."""
    found: QuerySet[Any] = queryset.select_related("version__plugin__owner").annotate(
        grave=_counted(_OPEN.filter(severity__in=GRAVE)),
        open_findings=_counted(_OPEN),
        previous_manifest=Subquery(_PREVIOUS.values("manifest_json")[:1]),
    )
    return found


def _counted(findings: QuerySet[Any]) -> Coalesce:
    return Coalesce(Subquery(findings.order_by().values("revision").values(number=Count("pk"))), 0)


def badge(words: str, style: str = "") -> SafeString:
    """Words on a coloured ground, escaped."""
    return format_html('<span class="km-badge {}">{}</span>', style, words)


def risk_badge(revision: Revision) -> SafeString:
    return badge(revision.get_risk_display() or "not known", _RISK_TONES.get(revision.risk, ""))


def permission_badges(revision: Any) -> SafeString:
    """What is asked by one of `rows`, widened ones marked."""
    return _asked(revision.manifest_json, revision.previous_manifest)


@lru_cache(maxsize=256)  # some pages of the list: manifests never change, and to read one takes as long as its row
def _asked(manifest: str, before: str | None) -> SafeString:
    previous = Revision(manifest_json=before) if before else None
    asked = [each for each in review_page.permissions(Revision(manifest_json=manifest), previous) if each.asked]
    if not asked:
        return format_html('<span class="quiet">{}</span>', "none")
    words = [(f"{each.name} +" if each.widened else each.name, "bad" if each.widened else "") for each in asked]
    return format_html_join(" ", "{}", ((badge(text, style),) for text, style in words))


def findings_badge(revision: Any) -> SafeString:
    """How many nobody waived, and how many of them are serious (high or critical)."""
    if revision.grave:
        return badge(f"{revision.open_findings}, {revision.grave} serious", "bad")
    return badge(str(revision.open_findings), "warn" if revision.open_findings else "")
