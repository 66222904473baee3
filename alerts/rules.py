"""A customer's rules: made, changed, switched, muted, deleted; every act is in the audit log.

    draft = parse(request.POST, customer)          # raises InvalidRequest, which names the field
    rule = create(customer, draft, at=moment, actor="user:ann")

What stops watching (a rule switched off or deleted) ends its open incident, and tells nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from alerts.errors import TooMany, UnknownDestination, UnknownRule
from alerts.evaluation import Watch
from alerts.kinds import KINDS
from alerts.models import Condition, Destination, Incident, Kind, Rule
from core.errors import InvalidRequest
from core.rows import by_public_id
from customers import audit
from customers.models import Customer

MAX_RULES = 50  # of a customer
MAX_NAME_CHARACTERS, MAX_SCOPE_CHARACTERS = 80, 200
COOLDOWNS = (5, 15, 30, 60, 240, 1440)
MUTES = {"60": "for an hour", "480": "for 8 hours", "1440": "for a day", "10080": "for a week"}
_MAX_AT_LEAST = 1_000_000


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule's fields, checked; `destinations` are rows of its customer's."""

    kind: str
    name: str
    server: str
    method: str
    tool: str
    threshold: float
    window_minutes: int
    at_least: int
    quiet_from: int | None
    quiet_to: int | None
    cooldown_minutes: int
    destinations: Sequence[Destination] = ()

    def row(self) -> dict[str, Any]:
        """The columns of a rule."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "destinations"}


def defaults(kind: str) -> Draft:
    """What a new rule of `kind` begins with. Raises `InvalidRequest`."""
    facts = KINDS[_kind(kind)]
    return Draft(kind, facts.label, "", "", "", facts.threshold, facts.window, facts.at_least, None, None, 30)


def parse(sent: Mapping[str, str], customer: Customer, *, destinations: Sequence[str] = ()) -> Draft:
    """The fields of a form. Raises `InvalidRequest`, `UnknownDestination`."""
    kind = _kind(sent.get("kind", ""))
    facts, usual = KINDS[kind], defaults(kind)
    quiet_from, quiet_to = _quiet(sent) if kind == Kind.SILENCE else (None, None)
    return Draft(
        kind=kind,
        name=_text(sent, "name", MAX_NAME_CHARACTERS) or usual.name,
        server=_text(sent, "server", MAX_SCOPE_CHARACTERS) if facts.has_scope else "",
        method=_text(sent, "method", MAX_SCOPE_CHARACTERS) if facts.has_scope and facts.has_traffic else "",
        tool=_text(sent, "tool", MAX_SCOPE_CHARACTERS) if facts.has_scope else "",
        threshold=_number(sent, "threshold", usual.threshold, facts.lowest, facts.highest),
        window_minutes=_choice(sent, "window", facts.window, facts.windows),
        at_least=int(_number(sent, "at_least", facts.at_least, 1, _MAX_AT_LEAST)) if facts.windows else 1,
        quiet_from=quiet_from,
        quiet_to=quiet_to,
        cooldown_minutes=_choice(sent, "cooldown", usual.cooldown_minutes, COOLDOWNS),
        destinations=_destinations(customer, destinations),
    )


def watch_of(row: Draft | Rule) -> Watch:
    """What the evaluation needs of a rule."""
    quiet = None if row.quiet_from is None or row.quiet_to is None else (row.quiet_from, row.quiet_to)
    return Watch(
        row.kind,
        row.server,
        row.method,
        row.tool,
        row.threshold,
        timedelta(minutes=row.window_minutes),
        row.at_least,
        quiet,
        timedelta(minutes=row.cooldown_minutes),
    )


def listed(customer: Customer) -> QuerySet[Rule]:
    """The rules of `customer`, the oldest first."""
    return Rule.objects.filter(customer=customer).order_by("id")


def get(customer: Customer, public_id: str) -> Rule:
    """One rule of `customer`. Raises `UnknownRule`, also for somebody else's."""
    rule = by_public_id(listed(customer), public_id)
    if rule is None:
        raise UnknownRule("there is no such rule", "the list of alerts shows those there are")
    return rule


def create(customer: Customer, draft: Draft, *, at: datetime, actor: str) -> Rule:
    """A new rule, looked at from now on. Raises `TooMany`."""
    with transaction.atomic():
        Customer.objects.select_for_update().get(pk=customer.pk)  # two at once count one after the other
        if listed(customer).count() >= MAX_RULES:
            raise TooMany(f"there are {MAX_RULES} rules already", "delete one that nobody needs")
        rule = Rule.objects.create(customer=customer, due_at=at, created_at=at, **draft.row())
        rule.destinations.set(draft.destinations)
        _record("alert_rule.created", rule, at, actor, **_told(draft))
    return rule


def change(rule: Rule, draft: Draft, *, at: datetime, actor: str) -> None:
    """Other fields for a rule; its kind stays. It is looked at anew at once. Raises `InvalidRequest`."""
    if draft.kind != rule.kind:
        raise InvalidRequest("a rule's kind stays what it is", "make a new rule of the other kind")
    with transaction.atomic():
        Rule.objects.filter(pk=rule.pk).update(due_at=at, **draft.row())
        rule.destinations.set(draft.destinations)
        _record("alert_rule.changed", rule, at, actor, **_told(draft))


def switch(rule: Rule, *, on: bool, at: datetime, actor: str) -> None:
    """Look at a rule, or no more."""
    with transaction.atomic():
        changed = Rule.objects.filter(pk=rule.pk).exclude(enabled=on).update(enabled=on, due_at=at)
        if changed and not on:
            _end_incident(rule, at, "the rule was switched off")
        if changed:
            _record("alert_rule.switched_on" if on else "alert_rule.switched_off", rule, at, actor)


def mute(rule: Rule, minutes: int, *, at: datetime, actor: str) -> None:
    """Tell nobody of this rule's incidents for `minutes`; 0 ends that."""
    until = at + timedelta(minutes=minutes) if minutes else None
    with transaction.atomic():
        Rule.objects.filter(pk=rule.pk).update(muted_until=until)
        action = "alert_rule.muted" if minutes else "alert_rule.unmuted"
        _record(action, rule, at, actor, **({"until": until.isoformat()} if until else {}))


def delete(rule: Rule, *, at: datetime, actor: str) -> None:
    """Its incidents stay."""
    with transaction.atomic():
        _end_incident(rule, at, "the rule was deleted")
        _record("alert_rule.deleted", rule, at, actor, name=rule.name)
        rule.delete()


def copied(rule: Rule) -> dict[str, Any]:
    """The columns an incident has from its rule."""
    return {each.name: getattr(rule, each.name) for each in Condition._meta.local_fields}


def _end_incident(rule: Rule, at: datetime, why: str) -> None:
    Incident.objects.filter(rule=rule, resolved_at=None).update(resolved_at=at, resolved_because=why)


def _record(action: str, rule: Rule, at: datetime, actor: str, **details: Any) -> None:
    subject = f"alert_rule:{rule.public_id}"
    audit.record(action, subject=subject, at=at, actor=actor, customer=rule.customer, **details)


def _told(draft: Draft) -> dict[str, Any]:
    return {**draft.row(), "destinations": [each.public_id for each in draft.destinations]}


def _kind(text: str) -> str:
    if text not in KINDS:
        raise InvalidRequest(f"there is no kind `{text[:20]}`", f"the kinds are {', '.join(KINDS)}")
    return text


def _text(sent: Mapping[str, str], name: str, most: int) -> str:
    text = sent.get(name, "").strip()
    if len(text) > most or not text.isprintable():
        raise InvalidRequest(f"`{name}` is not one line of at most {most} characters", "shorten it")
    return text


def _number(sent: Mapping[str, str], name: str, usual: float, lowest: float, highest: float) -> float:
    text = sent.get(name, "").strip()
    try:
        number = float(text) if text else usual
    except ValueError:
        number = float("nan")
    if not isfinite(number) or not lowest <= number <= highest:
        raise InvalidRequest(f"`{name}` is `{text[:20]}`", f"give a number from {lowest:g} to {highest:g}")
    return number


def _choice(sent: Mapping[str, str], name: str, usual: int, choices: Sequence[int]) -> int:
    text = sent.get(name, "").strip()
    if not text or not choices:
        return usual
    if text not in {str(each) for each in choices}:
        raise InvalidRequest(f"`{name}` is `{text[:20]}`", f"it may be {', '.join(map(str, choices))} minutes")
    return int(text)


def _quiet(sent: Mapping[str, str]) -> tuple[int | None, int | None]:
    texts = sent.get("quiet_from", "").strip(), sent.get("quiet_to", "").strip()
    if not any(texts):
        return None, None
    hours = [int(text) for text in texts if text in {str(hour) for hour in range(24)}]
    if len(hours) != 2 or hours[0] == hours[1]:
        raise InvalidRequest("the quiet hours are not two different hours", "give both, from 0 to 23, or neither")
    return hours[0], hours[1]


def _destinations(customer: Customer, wanted: Sequence[str]) -> list[Destination]:
    if not wanted:
        return []
    readable = [each for each in wanted if each.isascii() and each.isprintable()]
    found = list(Destination.objects.filter(customer=customer, public_id__in=readable))
    if {each.public_id for each in found} != set(wanted):
        raise UnknownDestination("there is no such destination", "choose among those listed")
    return found
