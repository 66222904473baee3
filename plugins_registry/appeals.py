"""An author's word against a rejection, heard by somebody who did not reject.

    appeal(revision, "The key in main.py is a documented example.", actor="key:key_0aXv…", at=moment)
    decide_appeal(open_appeal, cat, "granted", "It is RFC 7515's.", at=moment)      # rejected → security_review

A revision has one open appeal, and `MAX_APPEALS` in all. One that is granted is reviewed anew, by two people.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from plugins_registry import people, states
from plugins_registry.errors import InvalidAppeal, InvalidDecision, NotAReviewer, TransitionRefused
from plugins_registry.lifecycle import Action
from plugins_registry.models import Appeal, Review, Revision
from plugins_registry.people import Duty, actor_of
from plugins_registry.reasons import MAX_COMMENT_CHARACTERS

MAX_APPEALS = 3  # then a new version says more than another letter
MAX_TEXT_CHARACTERS = 5_000

Outcome = Appeal.Outcome


def appeal(revision: Revision, text: str, *, actor: str, at: datetime) -> Appeal:
    """Raises `InvalidAppeal`, `TransitionRefused`."""
    if not text.strip() or len(text) > MAX_TEXT_CHARACTERS or "\0" in text:
        raise InvalidAppeal(f"an appeal has 1 to {MAX_TEXT_CHARACTERS:,} characters of text", "say what was overlooked")
    try:
        with transaction.atomic():
            states.transition(revision.pk, Action.APPEAL, actor, at)
            if revision.appeals.count() >= MAX_APPEALS:
                raise InvalidAppeal(f"this revision had {MAX_APPEALS} appeals", "submit a new version")
            return Appeal.objects.create(revision=revision, text=text, actor=actor, at=at)
    except IntegrityError:
        raise InvalidAppeal("there is an open appeal already", "wait for its outcome") from None


def decide_appeal(open_appeal: Appeal, user: User, outcome: str, comment: str, *, at: datetime) -> Appeal:
    """Raises `InvalidDecision`, `NotAReviewer`, `TransitionRefused` when it was decided already."""
    if outcome not in Outcome.values:
        raise InvalidDecision(f"`{outcome[:20]}` is no outcome", f"one of {', '.join(Outcome.values)}")
    if not comment.strip() or len(comment) > MAX_COMMENT_CHARACTERS or "\0" in comment:
        raise InvalidDecision("there is no comment", "say to the author why")
    revision = open_appeal.revision
    people.require(user, Duty.APPEAL, revision.version.plugin)
    _check_other_person(revision, user)
    granted = outcome == Outcome.GRANTED
    with transaction.atomic():
        decided = {"outcome": outcome, "decided_by": user, "decided_at": at, "comment": comment}
        if Appeal.objects.filter(pk=open_appeal.pk, outcome="").update(**decided) != 1:
            raise TransitionRefused("this appeal was decided already", "look at its outcome")
        if granted:
            revision.reviews.filter(latest=True).update(latest=False)
        action = Action.GRANT_APPEAL if granted else Action.DENY_APPEAL
        states.transition(revision.pk, action, actor_of(user), at, comment=comment)
    open_appeal.refresh_from_db()
    return open_appeal


def _check_other_person(revision: Revision, user: User) -> None:
    rejected = Review.objects.filter(revision=revision, latest=True, reviewer=user, decision=Review.Decision.REJECT)
    if rejected.exists():
        raise NotAReviewer(f"{user.get_username()} rejected this revision", "somebody else hears the appeal")
