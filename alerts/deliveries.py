"""Reading what was sent: the log of a customer's messages, and the tries of one.

page(customer, limit=50)      → Page(rows=[Delivery, …], next="…"), the newest first
"""

from __future__ import annotations

from alerts.errors import UnknownDelivery
from alerts.incidents import RowNumber
from alerts.models import Attempt, Delivery
from core import paging
from core.paging import Page
from core.rows import by_public_id
from customers.models import Customer

MAX_ATTEMPTS = 100  # shown of one message


def get(customer: Customer, public_id: str) -> Delivery:
    """One message to a destination of `customer`. Raises `UnknownDelivery`, also for somebody else's."""
    rows = Delivery.objects.filter(customer=customer).select_related("destination__customer", "incident")
    found = by_public_id(rows, public_id)
    if found is None:
        raise UnknownDelivery("there is no such message", "those older than 30 days are gone")
    return found


def page(customer: Customer, *, cursor: str | None = None, limit: int) -> Page[Delivery]:
    """Messages without their bodies, the newest first. Raises `InvalidCursor`."""
    rows = Delivery.objects.filter(customer=customer).select_related("destination", "incident").defer("body")
    if cursor:
        rows = rows.filter(id__lt=paging.decode(cursor, RowNumber))
    return paging.paginate(list(rows.order_by("-id")[: limit + 1]), limit, lambda row: row.pk)


def newest_attempts(delivery: Delivery) -> list[Attempt]:
    """The tries, the newest first."""
    return list(delivery.attempts.order_by("-id")[:MAX_ATTEMPTS])
