"""What a subscription allows at a moment: one pure function over plain facts.

    evaluate(SubscriptionFacts(tier=pro, free=free, state="past_due", state_since=monday), at=tuesday)
    → Entitlement(tier="pro", status="past_due", features={"console_logging", "api_logging", "risk_analysis"}, …)

Whoever does not pay falls back to what the Free tier allows; nobody loses the stream itself. Two things differ from
what the row says: a trial past its end and a missed payment past its grace read as `unpaid`, whether or not anything
has moved the row yet. Retention follows the subscribed tier until it is canceled: a feature comes back with the
payment, deleted events would not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from km_protocol.claims import SubscriptionStatus

PAST_DUE_GRACE = timedelta(days=14)  # two weekly attempts of a card, and the holiday in between
_PAYING: frozenset[SubscriptionStatus] = frozenset({"trialing", "active", "past_due"})


@dataclass(frozen=True, slots=True)
class TierFacts:
    """A tier as rows say it. `events_per_day` is `None` when it has no limit of its own."""

    code: str
    name: str
    features: frozenset[str]
    events_per_day: int | None
    retention_days: int


@dataclass(frozen=True, slots=True)
class SubscriptionFacts:
    """A subscription as its row says it, with the tier it is for and the one everyone has."""

    tier: TierFacts
    free: TierFacts
    state: SubscriptionStatus
    state_since: datetime
    trial_ends_at: datetime | None = None
    events_per_day: int | None = None  # agreed by contract


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What holds now. `events_per_day` is `None` for no limit; `ends_at` is when, by the clock alone, it would end."""

    tier: str
    tier_name: str
    status: SubscriptionStatus
    features: frozenset[str]
    events_per_day: int | None
    retention_days: int
    premium: bool
    ends_at: datetime | None = None

    @property
    def active(self) -> bool:
        """Whether the subscription holds: paid for, on trial, or within the grace of a missed payment."""
        return self.status in _PAYING


def evaluate(subscription: SubscriptionFacts, *, at: datetime) -> Entitlement:
    """What `subscription` allows at `at`."""
    ends_at = _end(subscription)
    status = subscription.state if ends_at is None or at < ends_at else "unpaid"
    paying = status in _PAYING
    tier = subscription.tier if paying else subscription.free
    agreed = subscription.events_per_day if paying else None
    kept = subscription.free if status == "canceled" else subscription.tier
    return Entitlement(
        tier=tier.code,
        tier_name=tier.name,
        status=status,
        features=tier.features,
        events_per_day=tier.events_per_day if agreed is None else agreed,
        retention_days=kept.retention_days,
        premium=bool(tier.features - subscription.free.features),
        ends_at=ends_at if paying else None,
    )


def _end(subscription: SubscriptionFacts) -> datetime | None:
    if subscription.state == "trialing":
        return subscription.trial_ends_at
    return subscription.state_since + PAST_DUE_GRACE if subscription.state == "past_due" else None
