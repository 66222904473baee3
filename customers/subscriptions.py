"""Changing a subscription: by the table of `states`, one row at a time, with its audit entry.

    transition(subscription, Action.MISS_PAYMENT, at=moment, actor="user:ann")   # active → past_due

Two changes at once cannot both win: the update names the state it starts from and must touch one row.
"""

from __future__ import annotations

from datetime import datetime

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


def _record(subscription: Subscription, action: str, *, at: datetime, actor: str, before: str, after: str) -> None:
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
