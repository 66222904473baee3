"""The lease: the signed answer to "what may this machine run while it cannot reach the server?".

    issue(customer, entitlement, machine="", used=4711, at=moment) → "eyJ…" (typ km-lease+jwt)

A lease never outlives what the server already knows will end: a trial's last day ends its offline grace too. `seq` is
counted in the customer's row, so of two leases the newer one is known without trusting any clock.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from km_protocol.claims import GRACE_SECONDS, LEASE_SECONDS, Lease

from core.errors import InvalidRequest
from customers import tokens
from customers.entitlements import Entitlement
from customers.models import Customer

MAX_MACHINE_CHARACTERS = 128


def issue(customer: Customer, entitlement: Entitlement, *, machine: str, used: int, at: datetime) -> str:
    """A signed lease for `machine` (any machine if empty). `used` is today's events. Raises `InvalidRequest`."""
    if len(machine) > MAX_MACHINE_CHARACTERS or not machine.isprintable():
        raise InvalidRequest(
            f"`machine` has at most {MAX_MACHINE_CHARACTERS} printable characters", "send the id the client made"
        )
    return tokens.sign_lease(_compose(customer, entitlement, machine, used, at), at=at)


def _compose(customer: Customer, entitlement: Entitlement, machine: str, used: int, at: datetime) -> Lease:
    issued_at = int(at.timestamp())
    known_end = int(entitlement.ends_at.timestamp()) if entitlement.ends_at else issued_at + GRACE_SECONDS
    return Lease(
        sub=customer.public_id,
        iat=issued_at,
        refresh_after=min(issued_at + settings.LEASE_REFRESH_SECONDS, known_end),
        exp=min(issued_at + LEASE_SECONDS, known_end),
        grace_until=min(issued_at + GRACE_SECONDS, known_end),
        status=entitlement.status,
        tier=entitlement.tier_name,
        features=sorted(entitlement.features),
        plugins={},  # the registry says which may run; a second list, renewed at other times, would contradict it
        quotas=_quotas(entitlement, used),
        machine=machine,
        seq=_next_seq(customer),
    )


def next_refresh(at: datetime) -> datetime:
    """When whoever asked at `at` should ask again."""
    return at + timedelta(seconds=settings.LEASE_REFRESH_SECONDS)


def _quotas(entitlement: Entitlement, used: int) -> dict[str, int]:
    """Limits by name; one that is not there does not exist."""
    limit = entitlement.events_per_day
    return {} if limit is None else {"events_per_day": limit, "events_left_today": max(limit - used, 0)}


def _next_seq(customer: Customer) -> int:
    with transaction.atomic():
        rows = Customer.objects.filter(pk=customer.pk)
        rows.update(lease_seq=F("lease_seq") + 1)  # holds the row until the commit, so the read below is ours
        return rows.values_list("lease_seq", flat=True).get()
