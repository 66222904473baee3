"""Reads for the rooms above and for authors: who may see what, where a revision stands, how long reviews take.

place_in_queue(revision)        3: two others are looked at before
median_wait(at=moment)          timedelta(hours=7), or None before anybody was reviewed
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Annotated

import msgspec
from django.db.models import Count, OuterRef, Q, QuerySet
from km_protocol.kmpkg import names

from core import paging
from customers.models import Customer
from plugins_registry.errors import SubmissionNotFound
from plugins_registry.lifecycle import REVIEWED, State
from plugins_registry.models import Plugin, Revision, Waiver

RowNumber = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # what a bigint holds
_REVISION_ID = re.compile(r"rev_[0-9A-Za-z]{20}")

MEDIAN_WINDOW = timedelta(days=90)  # how long it took last year helps nobody
MEDIAN_REVISIONS = 500
QUEUED = (State.SUBMITTED, State.VALIDATING, State.SCANNING, State.SCAN_ERROR, *REVIEWED)
"""Whose place counts: what waits for us. What waits for its author stands aside, and comes back to its place."""

TRUSTED = (State.CERTIFIED, State.APPROVED, State.BUILDING, State.PUBLISHED, State.YANKED)
"""What a newer source may be compared with. What is under suspicion is no measure."""


def visible_plugins(customer: Customer | None) -> QuerySet[Plugin]:
    """What `customer` may know of: the public ones and their own. A stranger: the public ones."""
    public = Q(visibility=Plugin.Visibility.PUBLIC)
    return Plugin.objects.filter(public | Q(owner=customer) if customer else public)


def submissions_of(customer_pk: int) -> QuerySet[Revision]:
    """The revisions of `customer`'s own plugins, newest first, with what their pages show."""
    rows = Revision.objects.filter(version__plugin__owner_id=customer_pk)
    return rows.select_related("version__plugin__owner").order_by("-id")


def submission(customer_pk: int, public_id: str) -> Revision:
    """Raises `SubmissionNotFound`, also for another organisation's."""
    known = _REVISION_ID.fullmatch(public_id)
    found = submissions_of(customer_pk).filter(public_id=public_id).first() if known else None
    if found is None:
        raise SubmissionNotFound(
            "there is no such submission", "`GET /api/registry/submissions` lists those of your organisation"
        )
    return found


def submission_page(
    customer_pk: int, *, plugin: str, state: str, limit: str | None, cursor: str | None
) -> paging.Page[Revision]:
    """Raises `InvalidCursor`, `InvalidLimit`. A `plugin` or `state` there is none of gives an empty page."""
    size = paging.parse_limit(limit)
    rows = submissions_of(customer_pk).annotate(findings_count=Count("findings"))
    if plugin:
        rows = rows.filter(version__plugin__name=plugin) if names.is_plugin_name(plugin) else rows.none()
    if state:
        rows = rows.filter(state=state) if state in State.values else rows.none()
    if cursor:
        rows = rows.filter(pk__lt=paging.decode(cursor, RowNumber))
    return paging.paginate(list(rows[: size + 1]), size, lambda row: row.pk)


def queue() -> QuerySet[Revision]:
    """What reviewers look at, in the order they should."""
    rows = Revision.objects.filter(state__in=REVIEWED)
    return rows.select_related("version__plugin__owner", "source").order_by("queued_at", "id")


def place_in_queue(revision: Revision) -> int | None:
    """Counted from 1; `None` for what waits for nobody of ours."""
    return places_in_queue([revision]).get(revision.pk)


def places_in_queue(revisions: Sequence[Revision]) -> dict[int, int]:
    """As `place_in_queue`, by the revision's number, in one query for all of a page."""
    if not any(revision.state in QUEUED for revision in revisions):
        return {}
    order = Revision.objects.filter(state__in=QUEUED).order_by("queued_at", "id").values_list("pk", flat=True)
    places = {pk: place for place, pk in enumerate(order, start=1)}
    return {revision.pk: places[revision.pk] for revision in revisions if revision.pk in places}


def median_wait(*, at: datetime) -> timedelta | None:
    """From a submission to its first decision by a person, over the latest of the last 90 days."""
    rows = Revision.objects.filter(reviews__reviewer__isnull=False, reviews__at__gte=at - MEDIAN_WINDOW)
    decided = rows.order_by("-reviews__at").values_list("pk", "submitted_at", "reviews__at")[:MEDIAN_REVISIONS]
    first: dict[int, timedelta] = {}
    for pk, submitted_at, decided_at in decided:
        first[pk] = min(first.get(pk, timedelta.max), decided_at - submitted_at)
    if not first:
        return None
    return timedelta(seconds=median(each.total_seconds() for each in first.values()))


def last_approved(revision: Revision) -> Revision | None:
    """What the revision is compared with: the plugin's last one that was certified before it."""
    rows = approved_before(revision.version.plugin_id, revision.pk)
    return rows.select_related("source", "version").first()


def approved_before(plugin: int | OuterRef, number: int | OuterRef) -> QuerySet[Revision]:
    """The plugin's revisions before the row `number` that are a measure for it, the newest first."""
    rows = Revision.objects.filter(certified_at__isnull=False, state__in=TRUSTED)
    return rows.filter(version__plugin_id=plugin, pk__lt=number).order_by("-pk")


def waived(plugin: Plugin) -> frozenset[tuple[str, str]]:
    """(rule, fingerprint) of the findings that a reviewer found to be none."""
    return frozenset(Waiver.objects.filter(plugin=plugin).values_list("rule", "fingerprint"))
