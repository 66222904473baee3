"""`manage.py after_restore`: once, when a database was brought back from a backup, before laptops see it.

A backup knows nothing of what came after it, and clients refuse what is older than they have seen: leases by their
`seq`, the registry's metadata by its versions. So every counter is raised past what can have been handed out since.
All tokens end: one that was revoked after the backup must not come back. (A key that was revoked after it does come
back: see docs/operations.md.)
"""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import F

from core.clock import now
from customers import audit, revocation
from customers.models import Customer

LEASES_AHEAD = 10_000_000  # a customer with a thousand laptops is handed 288,000 a day
TOKEN_VERSIONS_AHEAD = 10_000  # one for each time all tokens of a customer were revoked


class Command(BaseCommand):
    help = "Raise every counter past what was handed out after the backup, and publish the registry anew."

    def handle(self, *_: Any, **__: Any) -> str:
        with transaction.atomic():
            customers = Customer.objects.update(
                lease_seq=F("lease_seq") + LEASES_AHEAD, token_version=F("token_version") + TOKEN_VERSIONS_AHEAD
            )
            audit.record("service.restored", subject="service", at=now(), customers=customers)
            revocation.announce()
        call_command("publish_catalog", "--all", "--after-restore", verbosity=0)
        return f"{customers} customers: counters raised, tokens ended; the registry is published anew"
