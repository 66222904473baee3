"""What a subscription allows at a moment, as one table over plain facts; no database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.entitlements import PAST_DUE_GRACE, SubscriptionFacts, TierFacts, evaluate
from customers.states import State

START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FREE = TierFacts("free", "Free", frozenset({"console_logging"}), 1_000, 7)
PRO = TierFacts("pro", "Pro", frozenset({"console_logging", "api_logging", "risk_analysis"}), 100_000, 90)
ENTERPRISE = TierFacts("enterprise", "Enterprise", PRO.features | {"audit_export"}, None, 365)
ACTIVE = SubscriptionFacts(tier=PRO, free=FREE, state="active", state_since=START)
TRIAL = replace(ACTIVE, state="trialing", trial_ends_at=START + 14 * DAY)
PAST_DUE = replace(ACTIVE, state="past_due")
CONTRACT = replace(ACTIVE, tier=ENTERPRISE, events_per_day=5_000_000)

TABLE = [
    # what, facts, after, tier, status, quota, retention
    ("active", ACTIVE, 400 * DAY, "pro", "active", 100_000, 90),
    ("free and active", replace(ACTIVE, tier=FREE), DAY, "free", "active", 1_000, 7),
    ("enterprise without a number", replace(ACTIVE, tier=ENTERPRISE), DAY, "enterprise", "active", None, 365),
    ("enterprise by contract", CONTRACT, DAY, "enterprise", "active", 5_000_000, 365),
    ("trial, first day", TRIAL, timedelta(), "pro", "trialing", 100_000, 90),
    ("trial, last second", TRIAL, 14 * DAY - timedelta(seconds=1), "pro", "trialing", 100_000, 90),
    ("trial, over", TRIAL, 14 * DAY, "free", "unpaid", 1_000, 90),
    ("trial without an end", replace(TRIAL, trial_ends_at=None), 999 * DAY, "pro", "trialing", 100_000, 90),
    ("past due, in grace", PAST_DUE, PAST_DUE_GRACE - timedelta(seconds=1), "pro", "past_due", 100_000, 90),
    ("past due, grace over", PAST_DUE, PAST_DUE_GRACE, "free", "unpaid", 1_000, 90),
    ("unpaid", replace(ACTIVE, state="unpaid"), DAY, "free", "unpaid", 1_000, 90),
    ("unpaid, a contract's number is not owed", replace(CONTRACT, state="unpaid"), DAY, "free", "unpaid", 1_000, 365),
    ("paused", replace(ACTIVE, state="paused"), DAY, "free", "paused", 1_000, 90),
    ("canceled", replace(ACTIVE, state="canceled"), DAY, "free", "canceled", 1_000, 7),
    ("canceled in a trial", replace(TRIAL, state="canceled"), DAY, "free", "canceled", 1_000, 7),
]
CASES = [pytest.param(*row[1:], id=str(row[0])) for row in TABLE]


@pytest.mark.parametrize(("facts", "after", "tier", "status", "quota", "keep"), CASES)
def test_the_table_of_subscriptions(
    facts: SubscriptionFacts, after: timedelta, tier: str, status: str, quota: int | None, keep: int
) -> None:
    found = evaluate(facts, at=START + after)
    assert (found.tier, found.status, found.events_per_day, found.retention_days) == (tier, status, quota, keep)
    assert found.features == {"free": FREE, "pro": PRO, "enterprise": ENTERPRISE}[tier].features
    assert found.premium == (tier != "free")


def test_the_moment_at_which_the_clock_alone_ends_it_is_known() -> None:
    assert evaluate(TRIAL, at=START).ends_at == START + 14 * DAY
    assert evaluate(PAST_DUE, at=START).ends_at == START + PAST_DUE_GRACE
    assert evaluate(ACTIVE, at=START).ends_at is None
    assert evaluate(TRIAL, at=START + 15 * DAY).ends_at is None


@given(st.sampled_from(State.values), st.timedeltas(timedelta(), timedelta(days=4000)))
def test_whatever_happens_the_free_features_remain(state: str, after: timedelta) -> None:
    found = evaluate(replace(TRIAL, state=state), at=START + after)  # type: ignore[arg-type]
    assert FREE.features <= found.features


@given(st.sampled_from(["unpaid", "paused", "canceled"]), st.timedeltas(timedelta(), timedelta(days=4000)))
def test_nobody_who_does_not_pay_has_a_premium_feature(state: str, after: timedelta) -> None:
    found = evaluate(replace(CONTRACT, state=state), at=START + after)  # type: ignore[arg-type]
    assert not found.premium
    assert found.features == FREE.features
