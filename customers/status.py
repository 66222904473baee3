"""What a caller is told about themselves: who they are, what they may use, what is left of it."""

from __future__ import annotations

from datetime import datetime

from customers import leases, usage
from customers.authentication import Principal
from customers.entitlements import Entitlement
from customers.models import Customer
from customers.queries import entitlement_of
from customers.schemas import CustomerAnswer, Quota, StatusAnswer


def describe(principal: Principal, *, at: datetime) -> CustomerAnswer:
    """Who `principal` is."""
    customer = Customer.objects.get(pk=principal.customer_id)
    entitlement = entitlement_of(customer, at=at)
    return CustomerAnswer(
        customer_id=customer.public_id,
        name=customer.name,
        tier=entitlement.tier_name,
        status=entitlement.status,
        features=sorted(entitlement.features),
        created_at=customer.created_at,
        key_id=principal.key_id,
        scopes=sorted(principal.scopes),
    )


def report(principal: Principal, *, machine: str, at: datetime) -> StatusAnswer:
    """What `principal` may use at `at`, read fresh, and a lease for `machine` that says so without a network."""
    customer = Customer.objects.get(pk=principal.customer_id)
    entitlement = entitlement_of(customer, at=at)
    used = usage.events_today(customer.pk, at=at)
    return StatusAnswer(
        customer_id=customer.public_id,
        tier=entitlement.tier_name,
        status=entitlement.status,
        premium=entitlement.premium,
        features=sorted(entitlement.features),
        quotas={"events_per_day": _events(entitlement, used, at)},
        lease=leases.issue(customer, entitlement, machine=machine, used=used, at=at),
        next_refresh=leases.next_refresh(at),
    )


def _events(entitlement: Entitlement, used: int, at: datetime) -> Quota:
    limit = entitlement.events_per_day
    remaining = None if limit is None else max(limit - used, 0)
    return Quota(limit=limit, used=used, remaining=remaining, resets_at=usage.day_ends(at))
