"""What every fault of a production service must end with: sent is stored, once, counted once, and nothing is lost."""

from __future__ import annotations

from tests.end_to_end.production_load import BATCH_EVENTS, Load
from tests.end_to_end.production_stack import Stack

Customer = dict[str, str]


def assert_stored_once(stack: Stack, load: Load, *customers: Customer) -> None:
    """What was acknowledged to these customers is what is stored and what is counted of them."""
    stored = assert_stored_and_counted_once(stack, load.acknowledged, *customers)
    sent_blindly = len(stored - load.acknowledged)  # stored, but its answer was lost when the test ended
    assert sent_blindly <= BATCH_EVENTS * 8


def assert_stored_and_counted_once(stack: Stack, acknowledged: set[str], *customers: Customer) -> set[str]:
    """All that was acknowledged to these customers is stored, and what is stored of them is counted; its ids."""
    stack.wait_until_drained()
    named = [customer["customer"] for customer in customers]
    owners = "(SELECT id FROM customers_customer WHERE public_id = ANY(%s))"
    rows = stack.database.ask(f"SELECT id FROM events_event WHERE customer_id IN {owners}", named)
    stored = [str(row[0]) for row in rows]
    assert len(stored) == len(set(stored)), "an event is stored twice"
    assert acknowledged - set(stored) == set(), "an acknowledged event is lost"
    for sums in (
        "sum(events) FROM events_session",
        "sum(events) FROM events_hourlyrollup",
        "sum(events) FROM events_dailyrollup",
        "sum(stored) FROM events_dailyusage",
        "sum(accepted) FROM events_dailyusage",
    ):
        assert stack.database.ask(f"SELECT {sums} WHERE customer_id IN {owners}", named) == [(len(stored),)], sums
    return set(stored)


def assert_only_503(load: Load) -> None:
    """Refusals since counting began anew: none but `503` with `Retry-After`."""
    answers = load.answers
    assert set(answers.refusals) <= {503}, answers.refusals
    assert answers.without_retry_after == 0
