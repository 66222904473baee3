"""The audit log: append-only, chained, written in the transaction that did the thing.

    record("api_key.revoked", subject=f"api_key:{key.public_id}", customer=customer, actor="user:ann", at=moment)

Entries name things by their public ids and outlive them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from customers.audit_chain import hash_of, plain
from customers.models import AuditChain, AuditEntry, Customer

SYSTEM = "system"


def record(
    action: str, *, subject: str, at: datetime, actor: str = SYSTEM, customer: Customer | None = None, **details: Any
) -> AuditEntry:
    """Write that `actor` did `action` to `subject` at `at`. `details` are JSON and hold no secret.

    Takes the lock of the customer's chain until the transaction ends.
    """
    chain_key = customer.public_id if customer else ""
    with transaction.atomic():
        chain, _ = AuditChain.objects.select_for_update().get_or_create(key=chain_key)
        entry = AuditEntry(
            at=at,
            actor=actor,
            action=action,
            customer_public_id=chain_key,
            subject=subject,
            details=plain(details),
            number=chain.entries + 1,
            previous=chain.head,
        )
        entry.hash = hash_of(vars(entry))
        entry.save(force_insert=True)
        AuditChain.objects.filter(pk=chain.pk).update(entries=entry.number, head=entry.hash)
    return entry
