"""Reads for the rooms above and the operator: who a customer is, what it may use, how long its events are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from km_protocol.claims import SubscriptionStatus

from core.errors import InvalidRequest
from customers.entitlements import Entitlement, SubscriptionFacts, TierFacts, evaluate
from customers.models import Customer, Member, Subscription, Tier
from customers.states import State
from customers.tiers import FREE

SHOWN_CUSTOMERS = 5  # a hint is read in a terminal


def customer_of(user: AbstractBaseUser | AnonymousUser) -> Customer | None:
    """The customer a signed-in person looks at: the first one they joined. `None` for a stranger."""
    if not user.is_authenticated:
        return None
    membership = Member.objects.filter(user_id=user.pk).select_related("customer").order_by("id").first()
    return membership.customer if membership else None


def customer_named(public_id: str) -> Customer:
    """The customer with the id `public_id`. Raises `InvalidRequest`, which names the newest there are."""
    customer = Customer.objects.filter(public_id=public_id).first()
    if customer is None:
        newest = ", ".join(f"`{each.public_id}` ({each.name})" for each in Customer.objects.all()[:SHOWN_CUSTOMERS])
        others = max(0, Customer.objects.count() - SHOWN_CUSTOMERS)
        more = f" and {others} more, which the admin console lists" if others else ""
        hint = f"the newest customers are {newest}{more}" if newest else "make one with `manage.py create_customer`"
        raise InvalidRequest(f"there is no customer `{public_id}`", hint)
    return customer


def tier_named(code: str) -> Tier:
    """The tier `code`. Raises `InvalidRequest`, which names those there are."""
    tier = Tier.objects.filter(code=code).first()
    if tier is None:
        known = ", ".join(f"`{each}`" for each in Tier.objects.values_list("code", flat=True))
        raise InvalidRequest(f"there is no tier `{code}`", f"the tiers are {known}")
    return tier


def entitlement_of(customer: Customer, *, at: datetime) -> Entitlement:
    """What `customer` may use at `at`. Three or four small queries."""
    return evaluate(facts_of(customer), at=at)


def facts_of(customer: Customer) -> SubscriptionFacts:
    """The rows behind an entitlement. A customer without a subscription has the Free tier."""
    free = tier_facts(Tier.objects.get(code=FREE))
    row = Subscription.objects.filter(customer=customer).select_related("tier").first()
    return _facts(customer, row, {row.tier_id: tier_facts(row.tier)} if row else {}, free)


def tier_facts(tier: Tier) -> TierFacts:
    """`tier` as plain facts."""
    features = frozenset(feature.code for feature in tier.features.all())
    return TierFacts(tier.code, tier.name, features, tier.events_per_day, tier.retention_days)


def retention_days_by_customer() -> dict[int, int]:
    """How many days each customer's events are kept, by `Customer.pk`."""
    free_days = Tier.objects.values_list("retention_days", flat=True).get(code=FREE)
    kept = Subscription.objects.exclude(state=State.CANCELED).values_list("customer_id", "tier__retention_days")
    days = dict(kept)
    return {
        customer_id: days.get(customer_id, free_days) for customer_id in Customer.objects.values_list("pk", flat=True)
    }


def entitlements_of(customers: Sequence[Customer], *, at: datetime) -> dict[int, Entitlement]:
    """What each of `customers` may use at `at`, by `Customer.pk`: three queries, however many they are."""
    tiers = {tier.pk: tier_facts(tier) for tier in Tier.objects.prefetch_related("features")}
    free = next(facts for facts in tiers.values() if facts.code == FREE)
    rows = {row.customer_id: row for row in Subscription.objects.filter(customer__in=[each.pk for each in customers])}
    return {each.pk: evaluate(_facts(each, rows.get(each.pk), tiers, free), at=at) for each in customers}


def _facts(
    customer: Customer, row: Subscription | None, tiers: dict[int, TierFacts], free: TierFacts
) -> SubscriptionFacts:
    if row is None:
        return SubscriptionFacts(tier=free, free=free, state="active", state_since=customer.created_at)
    return SubscriptionFacts(
        tier=tiers[row.tier_id],
        free=free,
        state=cast(SubscriptionStatus, row.state),
        state_since=row.state_since,
        trial_ends_at=row.trial_ends_at,
        events_per_day=row.events_per_day,
    )
