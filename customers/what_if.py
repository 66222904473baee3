"""What a change of a subscription would do, before anybody does it: what is gained, what is lost, what is deleted.

    preview(subscription, Terms(tier=free), at=moment)
    → Preview(before=Entitlement("Pro", …), after=Entitlement("Free", …),
              effects=[Effect(LOSS, "api_logging: Ship messages to the service"),
                       Effect(LOSS, "83 days of events: 12,400 are deleted from 23 Nov 2026, 15:17 UTC on"), …])

The rooms above say what it means for them: they register `(customer, before, after, at) → effects` when Django starts.
Reading only; whoever decides repeats what they saw (`fingerprint`), so that nobody confirms something else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, cast

from km_protocol.claims import SubscriptionStatus

from customers import usage
from customers.entitlements import Entitlement, SubscriptionFacts, evaluate
from customers.models import Customer, Feature, Subscription
from customers.queries import facts_of, tier_facts
from customers.states import TRANSITIONS, Action, State
from customers.subscriptions import Terms

GAIN, LOSS, NOTE = "gain", "loss", "note"


class Effect(NamedTuple):
    """One thing that changes, in words. `kind` is `gain`, `loss` or `note`."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Preview:
    """`fingerprint` names what was compared: the row as it was, and what it would become."""

    before: Entitlement
    after: Entitlement
    effects: list[Effect]
    fingerprint: str

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """What is compared, now and then, in words."""
        return [(name, say(self.before), say(self.after)) for name, say in _COMPARED.items()]

    @property
    def gains(self) -> list[Effect]:
        return [each for each in self.effects if each.kind == GAIN]

    @property
    def losses(self) -> list[Effect]:
        return [each for each in self.effects if each.kind == LOSS]

    @property
    def notes(self) -> list[Effect]:
        return [each for each in self.effects if each.kind == NOTE]


_COMPARED: dict[str, Callable[[Entitlement], str]] = {
    "May use": lambda each: each.tier_name,
    "Status": lambda each: str(State(each.status).label),
    "A day": lambda each: _limit(each.events_per_day),
    "Events are kept": lambda each: f"{each.retention_days} days",
}

Provider = Callable[[Customer, Entitlement, Entitlement, datetime], Iterable[Effect]]

_providers: list[Provider] = []


def register(provider: Provider) -> None:
    """Ask `provider` too from now on. Registering twice is the same as once."""
    if provider not in _providers:
        _providers.append(provider)


def of_terms(subscription: Subscription, terms: Terms, *, at: datetime) -> Preview:
    """What other terms would change."""
    facts = facts_of(subscription.customer)
    proposed = replace(
        facts,
        tier=tier_facts(terms.tier),
        events_per_day=terms.events_per_day,
        trial_ends_at=terms.trial_ends_at,
    )
    return _compared(subscription, facts, proposed, at)


def of_action(subscription: Subscription, action: Action, *, at: datetime) -> Preview:
    """What another state would change; an action that is not possible now changes nothing."""
    facts = facts_of(subscription.customer)
    state = TRANSITIONS[State(subscription.state)].get(action)
    proposed = replace(facts, state=cast(SubscriptionStatus, state.value), state_since=at) if state else facts
    return _compared(subscription, facts, proposed, at)


def _compared(
    subscription: Subscription, facts: SubscriptionFacts, proposed: SubscriptionFacts, at: datetime
) -> Preview:
    customer = subscription.customer
    before, after = evaluate(facts, at=at), evaluate(proposed, at=at)
    effects = [*_own(customer, before, after, at)]
    for provider in _providers:
        effects += provider(customer, before, after, at)
    return Preview(before, after, effects, _fingerprint(facts, proposed, subscription))


def _own(customer: Customer, before: Entitlement, after: Entitlement, at: datetime) -> Iterator[Effect]:
    words = dict(Feature.objects.values_list("code", "name"))
    for code in sorted(after.features - before.features):
        yield Effect(GAIN, f"{code}: {words.get(code, '')}".rstrip(": "))
    for code in sorted(before.features - after.features):
        yield Effect(LOSS, f"{code}: {words.get(code, '')}".rstrip(": "))
    yield from _quota(before.events_per_day, after.events_per_day, usage.events_today(customer.pk, at=at))
    if after.retention_days != before.retention_days:
        kind = GAIN if after.retention_days > before.retention_days else LOSS
        yield Effect(kind, f"events are kept {after.retention_days} days instead of {before.retention_days}")
    if after.status != before.status:
        yield Effect(NOTE, f"the subscription reads as {State(after.status).label}, now {State(before.status).label}")
    if after.ends_at and after.ends_at != before.ends_at:
        yield Effect(NOTE, f"without another change, all of it ends on {after.ends_at:%-d %b %Y, %H:%M} UTC")


def _quota(before: int | None, after: int | None, used: int) -> Iterator[Effect]:
    if before == after:
        return
    kind = GAIN if after is None or (before is not None and after > before) else LOSS
    yield Effect(kind, f"{_limit(after)} a day instead of {_limit(before)}")
    if after is not None and used >= after:
        yield Effect(LOSS, f"{used:,} were sent today: everything else is refused until midnight UTC")


def _limit(events: int | None) -> str:
    return "events without limit" if events is None else f"{events:,} events"


def _fingerprint(facts: SubscriptionFacts, proposed: SubscriptionFacts, subscription: Subscription) -> str:
    """The row and the moment play no part: what was compared does."""
    compared = (subscription.pk, *_plain(facts), *_plain(replace(proposed, state_since=facts.state_since)))
    return hashlib.sha256(repr(compared).encode()).hexdigest()


def _plain(facts: SubscriptionFacts) -> tuple[object, ...]:
    tier = facts.tier
    rules = (tier.code, sorted(tier.features), tier.events_per_day, tier.retention_days)
    return (*rules, facts.state, facts.state_since, facts.trial_ends_at, facts.events_per_day)
