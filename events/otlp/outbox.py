"""Keeping what is to be exported: one row for each request and each answer, in the drain's own transaction.

keep([NewEvent(type="request", correlation_id="c1", …), NewEvent(type="notification", …)])     → one row
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from core.clock import now
from events.otlp.facts import facts_of, is_half, pair_of
from events.otlp.models import Half

ROWS_A_STATEMENT = 500


def keep(events: Sequence[Any]) -> None:
    """A hook of `events.stored_hooks`: `events` are the store's `NewEvent`s."""
    moment = now()
    rows = [
        Half(
            pair=pair_of(event),
            is_answer=event.type != "request",
            customer_id=event.customer_id,
            sequence=event.sequence,
            kept_at=moment,
            due_at=moment,
            facts=msgspec.json.encode(facts_of(event)).decode(),
        )
        for event in events
        if is_half(event)
    ]
    Half.objects.bulk_create(rows, batch_size=ROWS_A_STATEMENT)
    asked = [row.pair for row in rows if not row.is_answer]
    for start in range(0, len(asked), ROWS_A_STATEMENT):  # an answer that came before waits no longer
        early = Half.objects.filter(pair__in=asked[start : start + ROWS_A_STATEMENT], is_answer=True)
        early.filter(due_at__gt=moment).update(due_at=moment)
