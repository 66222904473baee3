"""A subscription moves only by its table, once, and leaves a record."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from customers import subscriptions
from customers.errors import TransitionRefused
from customers.models import AuditEntry, Customer, Subscription, Tier
from customers.queries import entitlement_of
from customers.states import TRANSITIONS, Action, State

ALLOWED = [(state, action, new) for state, row in TRANSITIONS.items() for action, new in row.items()]
REFUSED = [(state, action) for state, row in TRANSITIONS.items() for action in Action if action not in row]


def in_state(customer: Customer, state: State) -> Subscription:
    Subscription.objects.filter(customer=customer).update(state=state)
    return Subscription.objects.get(customer=customer)


@pytest.mark.parametrize(("state", "action", "new"), ALLOWED)
def test_every_action_in_the_table_leads_where_it_says(
    acme: Customer, moment: datetime, state: State, action: Action, new: State
) -> None:
    subscription = in_state(acme, state)
    assert subscriptions.transition(subscription, action, at=moment, actor="user:ann") == new
    stored = Subscription.objects.get(pk=subscription.pk)
    assert (stored.state, stored.state_since) == (new, moment)
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.action, entry.actor, entry.at) == (f"subscription.{action}", "user:ann", moment)
    assert entry.details == {"before": state, "after": new}


@pytest.mark.parametrize(("state", "action"), REFUSED)
def test_every_other_action_is_refused_and_says_what_is_possible(
    acme: Customer, moment: datetime, state: State, action: Action
) -> None:
    entries = AuditEntry.objects.count()
    with pytest.raises(TransitionRefused) as refused:
        subscriptions.transition(in_state(acme, state), action, at=moment)
    assert all(f"`{possible}`" in refused.value.hint for possible in TRANSITIONS[state])
    assert Subscription.objects.get(customer=acme).state == state
    assert AuditEntry.objects.count() == entries


def test_every_state_can_be_left_and_reached() -> None:
    assert set(TRANSITIONS) == set(State)
    reached = {new for _, _, new in ALLOWED}
    assert reached == set(State) - {State.TRIALING}


def test_of_two_changes_from_the_same_state_only_one_wins(acme: Customer, moment: datetime) -> None:
    first, second = (Subscription.objects.get(customer=acme) for _ in range(2))
    subscriptions.transition(first, Action.PAUSE, at=moment)
    with pytest.raises(TransitionRefused, match="same moment"):
        subscriptions.transition(second, Action.CANCEL, at=moment)
    assert Subscription.objects.get(customer=acme).state == State.PAUSED
    assert AuditEntry.objects.filter(action="subscription.cancel").count() == 0


def test_a_missed_payment_keeps_the_features_for_the_grace_and_takes_them_after(
    acme: Customer, moment: datetime
) -> None:
    subscriptions.transition(Subscription.objects.get(customer=acme), Action.MISS_PAYMENT, at=moment)
    assert entitlement_of(acme, at=moment + timedelta(days=13)).premium
    later = entitlement_of(acme, at=moment + timedelta(days=14))
    assert (later.status, later.premium, later.tier) == ("unpaid", False, "free")


def test_another_tier_is_in_force_and_on_record(acme: Customer, moment: datetime) -> None:
    subscription = Subscription.objects.get(customer=acme)
    subscriptions.change_tier(subscription, Tier.objects.get(code="enterprise"), at=moment)
    assert "audit_export" in entitlement_of(acme, at=moment).features
    entry = AuditEntry.objects.get(action="subscription.tier_changed")
    assert entry.details == {"before": "pro", "after": "enterprise"}
