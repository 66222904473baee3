"""From a message to the exchange it belongs to."""

from __future__ import annotations

from uuid import UUID

from customers.models import Customer
from dashboard import timeline
from events import queries
from events.rows import Exchange


def from_its_request(customer: Customer, exchange: Exchange) -> Exchange:
    """For an answer, the exchange it ends: its correlation is its request's id, where the recorder is ours."""
    first = exchange.first
    if first.type not in queries.ANSWERS or not timeline.IS_ID.fullmatch(first.correlation_id):
        return exchange
    whole = queries.exchanges(customer.pk, first.session_id, [UUID(first.correlation_id)])
    return next((found for found in whole if first in found.answers), exchange)
