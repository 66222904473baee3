"""Taking a published revision off the shelf, and putting it back.

    quarantine(revision, ann, "malicious", "see ticket 812", at=moment)    # until it is looked into
    yank(revision, ann, "vulnerable", "…", at=moment)                      # for good, as far as anyone knows
    restore(revision, cat, "a false alarm", at=moment)                     # back to approved: published anew

Each reaches every customer with the next refresh: the director drops the build and the client disables the plugin. Who
takes away needs the permission; who gives back must not be of the author's organisation either.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User

from plugins_registry import people, states
from plugins_registry.errors import InvalidDecision
from plugins_registry.lifecycle import Action
from plugins_registry.models import Revision
from plugins_registry.people import Duty, actor_of
from plugins_registry.reasons import checked_reason


def quarantine(revision: Revision, user: User, reason_code: str, comment: str, *, at: datetime) -> Revision:
    """Raises `InvalidDecision`, `NotAReviewer`, `TransitionRefused`."""
    return _take(revision, Action.QUARANTINE, user, reason_code, comment, at)


def yank(revision: Revision, user: User, reason_code: str, comment: str, *, at: datetime) -> Revision:
    """Raises `InvalidDecision`, `NotAReviewer`, `TransitionRefused`."""
    return _take(revision, Action.YANK, user, reason_code, comment, at)


def restore(revision: Revision, user: User, comment: str, *, at: datetime) -> Revision:
    """Raises `InvalidDecision`, `NotAReviewer`, `TransitionRefused`. What is blocked is unblocked first (`blocks`)."""
    if not comment.strip():
        raise InvalidDecision("there is no comment", "say why it may be used again")
    checked_reason("", comment, needed=False)
    people.require(user, Duty.YANK, revision.version.plugin)
    return states.transition(revision.pk, Action.RESTORE, actor_of(user), at, comment=comment)


def _take(revision: Revision, action: Action, user: User, reason_code: str, comment: str, at: datetime) -> Revision:
    checked_reason(reason_code, comment, needed=True)
    people.require_permission(user, (Duty.YANK,))
    return states.transition(revision.pk, action, actor_of(user), at, reason_code=reason_code, comment=comment)
