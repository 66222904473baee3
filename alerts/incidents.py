"""Incidents: opened and resolved by the evaluator, acknowledged by a person. Each change and what is told of it are in
one transaction, so that an incident nobody is told of, or a letter about none, cannot be.

    incident = open_one(rule, reading, at=moment)        None: somebody else has, or the rule is gone
    resolve(incident, at=moment)
    acknowledge(incident, at=moment, actor="user:ann@acme.example")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import msgspec
from django.db import transaction
from django.db.models import QuerySet

from alerts import outbox, rules
from alerts.definition_changes import MOST, Change
from alerts.errors import NotPossible, UnknownIncident
from alerts.evaluation import Reading
from alerts.models import Delivery, Incident, Rule
from core import paging
from core.paging import Page
from core.rows import by_public_id
from customers import audit
from customers.models import Customer

RowNumber = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # what a bigint holds


def open_one(rule: Rule, reading: Reading, *, at: datetime, changes: Sequence[Change] = ()) -> Incident | None:
    """Write that `rule` holds since `at`, and what is to be told. `None` when there is nothing to open any more."""
    assert reading.value is not None  # what nothing can be said of opens nothing
    with transaction.atomic():
        rule_now = Rule.objects.select_for_update().filter(pk=rule.pk, enabled=True).first()
        if rule_now is None or Incident.objects.filter(rule=rule_now, resolved_at=None).exists():
            return None
        incident = Incident.objects.create(
            customer_id=rule_now.customer_id,
            rule=rule_now,
            opened_at=at,
            value=reading.value,
            worst=reading.value,
            counted=reading.counted,
            found=[_as_json(change) for change in changes[:MOST]],
            muted=is_muted(rule_now, at),
            **rules.copied(rule_now),
        )
        if not incident.muted:
            outbox.tell(incident, rule_now, Delivery.About.OPENED, at=at)
    return incident


def resolve(incident: Incident, *, at: datetime) -> bool:
    """Write that it is over, and what is to be told. False when it was over already."""
    with transaction.atomic():
        ended = Incident.objects.filter(pk=incident.pk, resolved_at=None).update(
            resolved_at=at, resolved_because="it is back below the threshold"
        )
        rule = Rule.objects.filter(pk=incident.rule_id).first() if incident.rule_id else None
        if ended and rule is not None and not incident.muted and not is_muted(rule, at):
            incident.resolved_at = at
            outbox.tell(incident, rule, Delivery.About.RESOLVED, at=at)
    return bool(ended)


def keep(incident: Incident, *, worst: float, calm_since: datetime | None) -> None:
    """Write how an open incident stands, if that is news."""
    worst = max(worst, incident.worst)
    if (worst, calm_since) != (incident.worst, incident.calm_since):
        Incident.objects.filter(pk=incident.pk, resolved_at=None).update(worst=worst, calm_since=calm_since)


def acknowledge(incident: Incident, *, at: datetime, actor: str) -> None:
    """Write that a person has seen it. Raises `NotPossible` when one has before."""
    with transaction.atomic():
        seen = Incident.objects.filter(pk=incident.pk, acknowledged_at=None)
        if not seen.update(acknowledged_at=at, acknowledged_by=actor):
            raise NotPossible("this incident is acknowledged already", "its page says by whom")
        subject = f"incident:{incident.public_id}"
        audit.record("incident.acknowledged", subject=subject, at=at, actor=actor, customer=incident.customer)


def is_muted(rule: Rule, at: datetime) -> bool:
    """Whether nobody is to be told of the rule's incidents at `at`."""
    return rule.muted_until is not None and at < rule.muted_until


def get(customer: Customer, public_id: str) -> Incident:
    """One incident of `customer`. Raises `UnknownIncident`, also for somebody else's."""
    rows = Incident.objects.filter(customer=customer).select_related("rule", "customer")
    incident = by_public_id(rows, public_id)
    if incident is None:
        raise UnknownIncident("there is no such incident", "the list of alerts shows those there are")
    return incident


def open_ones(customer: Customer) -> QuerySet[Incident]:
    """What is open, the newest first."""
    return Incident.objects.filter(customer=customer, resolved_at=None).order_by("-id")


def page(customer: Customer, *, cursor: str | None = None, rule: Rule | None = None, limit: int) -> Page[Incident]:
    """Incidents that are over, the newest first. Raises `InvalidCursor`."""
    rows = Incident.objects.filter(customer=customer).exclude(resolved_at=None).order_by("-id")
    if rule is not None:
        rows = rows.filter(rule=rule)
    if cursor:
        rows = rows.filter(id__lt=paging.decode(cursor, RowNumber))
    return paging.paginate(list(rows[: limit + 1]), limit, lambda row: row.pk)


def _as_json(change: Change) -> dict[str, Any]:
    return asdict(change) | {"at": change.at.isoformat()}
