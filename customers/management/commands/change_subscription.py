"""`manage.py change_subscription --customer cus_… --tier enterprise`: another tier, from now on.

In force at once in the process that changes it, everywhere else within a minute, on a laptop at its next refresh. What
the customer pays for does not change its state: a canceled subscription stays canceled, which the result shows.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from core.clock import now
from core.errors import InvalidRequest
from customers import subscriptions
from customers.management.operator_command import OperatorCommand
from customers.models import Customer, Subscription
from customers.queries import customer_named, entitlement_of, tier_named


class Command(OperatorCommand):
    help = "Move a customer's subscription to another tier."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--customer", required=True, help="the customer's id, `cus_…`")
        parser.add_argument("--tier", required=True, help="`free`, `pro` or `enterprise`")

    def run(self, options: dict[str, Any]) -> dict[str, str]:
        moment = now()
        customer, tier = customer_named(options["customer"]), tier_named(options["tier"])
        subscription = _subscription(customer)
        before = subscription.tier.code
        if before != tier.code:
            subscriptions.change_tier(subscription, tier, at=moment)
        entitlement = entitlement_of(customer, at=moment)
        return {
            "customer": customer.public_id,
            "name": customer.name,
            "before": before,
            "tier": tier.code,
            "status": entitlement.status,
            "features": " ".join(sorted(entitlement.features)),
        }


def _subscription(customer: Customer) -> Subscription:
    subscription = Subscription.objects.filter(customer=customer).select_related("tier", "customer").first()
    if subscription is None:
        raise InvalidRequest(f"{customer.name} has no subscription to change", "add one in the admin console")
    return subscription
