"""What the person at the console may do to a revision now, and for what they may not, why: the words beside no button.

    turn = whose_turn(ann, revision)     Turn(kind="security", why_not="")
    turn = whose_turn(carl, revision)    Turn(kind="security", why_not="carl belongs to Acme, whose plugin it is")

This decides which buttons are drawn. The act itself asks again, in its own transaction, and refuses.
"""

from __future__ import annotations

from typing import NamedTuple

from django.contrib.auth.models import User

from plugins_registry import people
from plugins_registry.errors import NotAReviewer
from plugins_registry.lifecycle import TRANSITIONS, Action, State
from plugins_registry.models import Review, Revision
from plugins_registry.people import Duty

_KINDS = {State.SECURITY_REVIEW: Review.Kind.SECURITY, State.CODE_REVIEW: Review.Kind.CODE}
_DUTIES = {Review.Kind.SECURITY: Duty.SECURITY, Review.Kind.CODE: Duty.CODE}


class Turn(NamedTuple):
    """The review that is next, `None` for a revision that waits for none; `why_not` is empty for whoever may decide."""

    kind: Review.Kind | None
    why_not: str


class Stop(NamedTuple):
    """An act that takes a revision off the shelf or puts it back."""

    action: Action
    label: str
    duty: Duty
    is_grave: bool


STOPS = (
    Stop(Action.QUARANTINE, "Quarantine", Duty.YANK, False),
    Stop(Action.YANK, "Yank", Duty.YANK, False),
    Stop(Action.RESTORE, "Restore", Duty.YANK, False),
    Stop(Action.BLOCK, "Block", Duty.BLOCK, True),
    Stop(Action.UNBLOCK, "Lift the block", Duty.BLOCK, False),
    Stop(Action.RETRY_SCAN, "Run the checks again", Duty.SECURITY, False),
)


def whose_turn(user: User, revision: Revision) -> Turn:
    """Which review is next, and whether `user` may decide it."""
    kind = _KINDS.get(State(revision.state))
    if kind is None:
        return Turn(None, "")
    why_not = refusal(user, _DUTIES[kind], revision)
    if not why_not and revision.reviews.filter(latest=True, reviewer=user).exists():
        why_not = f"{user.get_username()} decided the other review of this revision: two people review each"
    return Turn(kind, why_not)


def stops(user: User, revision: Revision) -> list[Stop]:
    """What `user` may do to a decided revision."""
    possible = TRANSITIONS[State(revision.state)]
    return [stop for stop in STOPS if stop.action in possible and not refusal_to_stop(user, stop, revision)]


def refusal_to_stop(user: User, stop: Stop, revision: Revision) -> str:
    """Taking away needs the duty alone; giving back must also be no interest of one's own."""
    if stop.action in {Action.RESTORE, Action.UNBLOCK}:
        return refusal(user, stop.duty, revision)
    return "" if user.has_perm(stop.duty.value) else f"{user.get_username()} has not the permission for this"


def appeal_refusal(user: User, revision: Revision) -> str:
    """Why `user` may not hear the appeal against the rejection, or nothing."""
    rejected = revision.reviews.filter(latest=True, reviewer=user, decision=Review.Decision.REJECT)
    if rejected.exists():
        return f"{user.get_username()} rejected this revision: somebody else hears the appeal"
    return refusal(user, Duty.APPEAL, revision)


def may_waive(user: User, revision: Revision) -> bool:
    """Whether `user` may call a finding a false positive."""
    return any(not refusal(user, duty, revision) for duty in people.REVIEWS)


def refusal(user: User, duty: Duty, revision: Revision) -> str:
    """Why `user` may not, or nothing."""
    try:
        people.require(user, duty, revision.version.plugin)
    except NotAReviewer as error:
        return error.message
    return ""
