"""Looking at the rules that are due, in rounds: claim some, read what they need, write what changed.

    evaluate(clock=shared_clock.now)   → Evaluated(rules=840, opened=2, resolved=1)

A rule is claimed by moving its `due_at` on under its row's lock (SKIP LOCKED where there is such), so that evaluators
side by side share the work. One that dies in between loses nothing: what a rule asks is true or not at any moment, so
the next round finds the same. Of customers who sent nothing since yesterday, only the rules that this could change are
looked at. A round begins no new batch after `ROUND`; what is left is due longest, and comes first in the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Max

from alerts import evaluation, facts, incidents, kinds, rules
from alerts.evaluation import Reading, Standing, Step
from alerts.facts import Facts
from alerts.models import Incident, Kind, Rule

ROUND = timedelta(seconds=45)  # the next one begins after sixty
BATCH = 500  # rules

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a round did."""

    rules: int = 0
    opened: int = 0
    resolved: int = 0

    def __add__(self, other: Evaluated) -> Evaluated:
        return Evaluated(self.rules + other.rules, self.opened + other.opened, self.resolved + other.resolved)


@dataclass(frozen=True, slots=True)
class _Before:
    """How the rules of a batch stand, by their number."""

    open: Mapping[int, Incident]
    last: Mapping[int, datetime]

    def standing(self, rule: Rule) -> Standing:
        incident = self.open.get(rule.pk)
        if incident is not None:
            return Standing(incident.opened_at, incident.calm_since)
        return Standing(resolved_at=self.last.get(rule.pk))


def evaluate(*, clock: Callable[[], datetime]) -> Evaluated:
    """One round. Raises `OperationalError` or `InterfaceError` when the database is away."""
    total, until = Evaluated(), clock() + ROUND
    while (at := clock()) < until:
        batch = _claim(at)
        if not batch:
            break
        total += _evaluate(batch, at)
    if total.opened or total.resolved:
        _log.info("alerts_evaluated", rules=total.rules, opened=total.opened, resolved=total.resolved)
    return total


def _claim(at: datetime) -> list[Rule]:
    """Some of the rules that are due, the longest due first; they are due again after their period."""
    with transaction.atomic():
        due = Rule.objects.select_for_update(skip_locked=True, of=("self",)).filter(enabled=True, due_at__lte=at)
        batch = list(due.select_related("customer").order_by("due_at", "id")[:BATCH])
        periods: dict[timedelta, list[int]] = {}
        for rule in batch:
            period = kinds.period(rule.kind, timedelta(minutes=rule.window_minutes))
            periods.setdefault(period, []).append(rule.pk)
        for period, keys in periods.items():
            Rule.objects.filter(pk__in=keys).update(due_at=at + period)
    return batch


def _evaluate(batch: Sequence[Rule], at: datetime) -> Evaluated:
    before = _before(batch, at)
    used = facts.received({rule.customer_id for rule in batch}, at=at)
    looked_at = [rule for rule in batch if rule.customer_id in used or _changes_by_itself(rule, before)]
    looked_at.sort(key=lambda rule: (rule.customer_id, rule.pk))
    total = Evaluated(rules=len(batch))
    for _, group in groupby(looked_at, key=lambda rule: rule.customer_id):
        own = list(group)
        try:
            total += _evaluate_own(own, before, used.get(own[0].customer_id, 0), at)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - a store that is away, say: the others' rules are looked at all the same
            _log.exception("rules_not_evaluated", customer_id=own[0].customer_id, error=repr(error))
    return total


def _changes_by_itself(rule: Rule, before: _Before) -> bool:
    """Whether a rule of somebody who sends nothing must be looked at: to find silence, or to end what is over."""
    is_open = rule.pk in before.open
    return is_open if rule.kind != Kind.SILENCE else not is_open or rule.quiet_from is not None


def _before(batch: Sequence[Rule], at: datetime) -> _Before:
    keys = [rule.pk for rule in batch]
    longest = timedelta(minutes=max(rule.cooldown_minutes for rule in batch))
    over = Incident.objects.filter(rule__in=keys, resolved_at__gt=at - longest).order_by().values_list("rule")
    return _Before(
        open={row.rule_id: row for row in Incident.objects.filter(rule__in=keys, resolved_at=None) if row.rule_id},
        last=dict(over.annotate(Max("resolved_at"))),
    )


def _evaluate_own(own: Sequence[Rule], before: _Before, used: int, at: datetime) -> Evaluated:
    """The rules of one customer."""
    watches = {rule.pk: rules.watch_of(rule) for rule in own}
    known = Facts(own[0].customer, at, list(watches.values()), used)
    opened = resolved = 0
    for rule in own:
        watch, incident = watches[rule.pk], before.open.get(rule.pk)
        reading = known.reading(watch)
        step = evaluation.decide(watch, before.standing(rule), reading, at=at)
        if step is Step.OPEN:
            changes = known.changes(watch) if rule.kind == Kind.DEFINITION else ()
            opened += incidents.open_one(rule, reading, at=at, changes=changes) is not None
        elif incident is not None:
            resolved += _follow(incident, step, reading, at)
    return Evaluated(opened=opened, resolved=resolved)


def _follow(incident: Incident, step: Step, reading: Reading, at: datetime) -> bool:
    """What `step` means to an open incident; whether it ended."""
    if step is Step.RESOLVE:
        return incidents.resolve(incident, at=at)
    if step is not Step.NONE:
        calm_since = at if step is Step.CALM else None
        incidents.keep(incident, worst=reading.value or 0.0, calm_since=calm_since)
    return False
