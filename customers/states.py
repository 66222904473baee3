"""A subscription's states as a table: what may happen in each, and where it leads.

    trialing ─ activate ─► active ─ miss_payment ─► past_due ─ exhaust_grace ─► unpaid ─ cancel ─► canceled
                             ▲ └──── pause ──► paused                                               │
                             └───────────────────── restart ───────────────────────────────────────┘

`TRANSITIONS[state][action]` is the next state; an action that is not in the row is refused.
"""

from __future__ import annotations

from django.db.models import TextChoices


class State(TextChoices):
    """How a subscription stands with its payments."""

    TRIALING = "trialing", "trialing"
    ACTIVE = "active", "active"
    PAST_DUE = "past_due", "past due"
    UNPAID = "unpaid", "unpaid"
    PAUSED = "paused", "paused"
    CANCELED = "canceled", "canceled"


class Action(TextChoices):
    """What may happen to a subscription."""

    ACTIVATE = "activate", "activate"
    MISS_PAYMENT = "miss_payment", "record a missed payment"
    SETTLE = "settle", "record a payment"
    EXHAUST_GRACE = "exhaust_grace", "end the grace period"
    PAUSE = "pause", "pause"
    RESUME = "resume", "resume"
    CANCEL = "cancel", "cancel"
    RESTART = "restart", "restart"


TRANSITIONS: dict[State, dict[Action, State]] = {
    State.TRIALING: {
        Action.ACTIVATE: State.ACTIVE,
        Action.MISS_PAYMENT: State.PAST_DUE,
        Action.CANCEL: State.CANCELED,
    },
    State.ACTIVE: {
        Action.MISS_PAYMENT: State.PAST_DUE,
        Action.PAUSE: State.PAUSED,
        Action.CANCEL: State.CANCELED,
    },
    State.PAST_DUE: {
        Action.SETTLE: State.ACTIVE,
        Action.EXHAUST_GRACE: State.UNPAID,
        Action.CANCEL: State.CANCELED,
    },
    State.UNPAID: {Action.SETTLE: State.ACTIVE, Action.CANCEL: State.CANCELED},
    State.PAUSED: {Action.RESUME: State.ACTIVE, Action.CANCEL: State.CANCELED},
    State.CANCELED: {Action.RESTART: State.ACTIVE},
}


class KeyState(TextChoices):
    """A signing key's life. It is published from `announced` to `retired`, and signs only while `active`."""

    ANNOUNCED = "announced", "announced"
    ACTIVE = "active", "active"
    RETIRED = "retired", "retired"
    REMOVED = "removed", "removed"


KEY_TRANSITIONS: dict[KeyState, KeyState] = {
    KeyState.ANNOUNCED: KeyState.ACTIVE,
    KeyState.ACTIVE: KeyState.RETIRED,
    KeyState.RETIRED: KeyState.REMOVED,
}
