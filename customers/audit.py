"""The audit log: append-only, written in the transaction that did the thing.

    record("api_key.revoked", subject=f"api_key:{key.public_id}", customer=customer, actor="user:ann", at=moment)

Entries name things by their public ids and outlive them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from customers.models import AuditEntry, Customer

SYSTEM = "system"


def record(
    action: str, *, subject: str, at: datetime, actor: str = SYSTEM, customer: Customer | None = None, **details: Any
) -> AuditEntry:
    """Write that `actor` did `action` to `subject` at `at`. `details` are JSON and hold no secret."""
    return AuditEntry.objects.create(
        at=at,
        actor=actor,
        action=action,
        customer_public_id=customer.public_id if customer else "",
        subject=subject,
        details=details,
    )
