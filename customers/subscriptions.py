"""Changing a subscription: by the table of `states`, one row at a time, with its audit entry.

    transition(subscription, Action.MISS_PAYMENT, at=moment, actor="user:ann")   # active → past_due

Two changes at once cannot both win: the update names the state it starts from and must touch one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from customers import audit, entitlement_hooks, revocation
from customers.errors import TransitionRefused
from customers.models import Subscription, Tier
from customers.states import TRANSITIONS, Action, State


def transition(subscription: Subscription, action: Action, *, at: datetime, actor: str = audit.SYSTEM) -> State:
    """Do `action` and return the new state. Raises `TransitionRefused`."""
    old = State(subscription.state)
    new = TRANSITIONS[old].get(action)
    if new is None:
        possible = ", ".join(f"`{each}`" for each in TRANSITIONS[old])
        raise TransitionRefused(f"`{action}` is not possible while the subscription is {old.label}", f"now: {possible}")
    with transaction.atomic():
        rows = Subscription.objects.filter(pk=subscription.pk, state=old)
        if rows.update(state=new, state_since=at) != 1:
            raise TransitionRefused("the subscription changed at the same moment", "look at its state and try again")
        _record(subscription, f"subscription.{action}", at=at, actor=actor, before=old, after=new)
    subscription.state, subscription.state_since = new, at
    return new


def change_tier(subscription: Subscription, tier: Tier, *, at: datetime, actor: str = audit.SYSTEM) -> None:
    """Move `subscription` to `tier`, in force within a minute."""
    before = subscription.tier.code
    with transaction.atomic():
        Subscription.objects.filter(pk=subscription.pk).update(tier=tier)
        _record(subscription, "subscription.tier_changed", at=at, actor=actor, before=before, after=tier.code)
    subscription.tier = tier


@dataclass(frozen=True, slots=True)
class Terms:
    """What a subscription is for. `events_per_day` is `None` for what the tier includes."""

    tier: Tier
    events_per_day: int | None = None
    trial_ends_at: datetime | None = None

    @classmethod
    def of(cls, subscription: Subscription) -> Terms:
        return cls(subscription.tier, subscription.events_per_day, subscription.trial_ends_at)


def change_terms(subscription: Subscription, terms: Terms, *, at: datetime, actor: str = audit.SYSTEM) -> None:
    """Another tier, contract or end of the trial, in force within a minute.

    Raises `TransitionRefused` when the row is no longer as `subscription` has it: what was decided rests on that.
    """
    old = Terms.of(subscription)
    with transaction.atomic():
        rows = Subscription.objects.filter(
            pk=subscription.pk,
            state=subscription.state,
            tier=old.tier,
            events_per_day=old.events_per_day,
            trial_ends_at=old.trial_ends_at,
        )
        changed = {name: getattr(terms, name) for name in ("tier", "events_per_day", "trial_ends_at")}
        if rows.update(**changed) != 1:
            raise TransitionRefused("the subscription changed at the same moment", "look at it and decide again")
        before, after = _in_words(old), _in_words(terms)
        _record(subscription, "subscription.terms_changed", at=at, actor=actor, before=before, after=after)
    for name, value in changed.items():
        setattr(subscription, name, value)


def _in_words(terms: Terms) -> dict[str, Any]:
    ends = terms.trial_ends_at.isoformat() if terms.trial_ends_at else None
    return {"tier": terms.tier.code, "events_per_day": terms.events_per_day, "trial_ends_at": ends}


def _record(subscription: Subscription, action: str, *, at: datetime, actor: str, before: Any, after: Any) -> None:
    audit.record(
        action,
        subject=f"subscription:{subscription.pk}",
        at=at,
        actor=actor,
        customer=subscription.customer,
        before=before,
        after=after,
    )
    revocation.announce()
    entitlement_hooks.changed(subscription.customer)
