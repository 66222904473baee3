"""Two people decide: one on security, then another on the code, and neither is of the author's organisation.

    decide(revision, "security", ann, "approve", "", "", at=moment)      # security_review → code_review
    decide(revision, "code", bob, "reject", "secrets", "a key in main.py, line 4", at=moment)

A decision is a row, a transition and its audit entry, or nothing: of two at once, one. Once the checks have passed, the
revision's risk is noted, and what `risk.passes_by_rule` names is certified by rule. Certified is not approved: that
takes two reviewers' own keys (`approvals`).
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from customers import audit
from plugins_registry import people, risk_facts, states
from plugins_registry.approvals import record_approval, statement_for
from plugins_registry.errors import InvalidDecision, NotAReviewer, TransitionRefused
from plugins_registry.lifecycle import Action, State
from plugins_registry.models import Finding, Review, Revision, StateChange, Waiver
from plugins_registry.people import Duty, actor_of
from plugins_registry.reasons import AUTOMATIC, MAX_REASON_CHARACTERS, REASONS, checked_reason
from plugins_registry.risk import passes_by_rule, risk_of

__all__ = ["REASONS", "assess", "decide", "record_approval", "statement_for", "waive"]

Kind, Decision = Review.Kind, Review.Decision

_DUTIES = {Kind.SECURITY: Duty.SECURITY, Kind.CODE: Duty.CODE}
_STATES = {Kind.SECURITY: State.SECURITY_REVIEW, Kind.CODE: State.CODE_REVIEW}
_ACTIONS = {
    (Kind.SECURITY, Decision.APPROVE): Action.PASS_SECURITY,
    (Kind.CODE, Decision.APPROVE): Action.CERTIFY,
    (Kind.SECURITY, Decision.REQUEST_CHANGES): Action.REQUEST_CHANGES,
    (Kind.CODE, Decision.REQUEST_CHANGES): Action.REQUEST_CHANGES,
    (Kind.SECURITY, Decision.REJECT): Action.REJECT,
    (Kind.CODE, Decision.REJECT): Action.REJECT,
}


def decide(
    revision: Revision, kind: str, reviewer: User, decision: str, reason_code: str, comment: str, *, at: datetime
) -> Review:
    """Raises `InvalidDecision`, `NotAReviewer`, `TransitionRefused`."""
    what, verdict = _known(kind, decision)
    checked_reason(reason_code, comment, needed=verdict is not Decision.APPROVE)
    people.require(reviewer, _DUTIES[what], revision.version.plugin)
    try:
        with transaction.atomic():
            current = Revision.objects.select_for_update().get(pk=revision.pk)
            _check_turn(current, what)
            _check_other_person(current, reviewer)
            review = Review.objects.create(
                revision=current,
                kind=what,
                reviewer=reviewer,
                decision=verdict,
                reason_code=reason_code,
                comment=comment,
                at=at,
            )
            action = _ACTIONS[what, verdict]
            states.transition(
                current.pk, action, actor_of(reviewer), at, review=what, reason_code=reason_code, comment=comment
            )
    except IntegrityError:
        raise TransitionRefused("somebody else decided at the same moment", "look at the revision again") from None
    revision.refresh_from_db()
    return review


def waive(finding: Finding, reviewer: User, reason: str, *, at: datetime) -> Waiver:
    """Remember that `finding` is none, for this plugin, by its rule and fingerprint. Raises `NotAReviewer`."""
    plugin = finding.revision.version.plugin
    people.require_any(reviewer, people.REVIEWS, plugin)
    if not reason.strip() or len(reason) > MAX_REASON_CHARACTERS or "\0" in reason:
        raise InvalidDecision(f"a reason has 1 to {MAX_REASON_CHARACTERS} characters", "say why it does no harm")
    with transaction.atomic():
        waiver, _ = Waiver.objects.get_or_create(
            plugin=plugin,
            rule=finding.rule,
            fingerprint=finding.fingerprint,
            defaults={"reason": reason, "reviewer": reviewer, "at": at},
        )
        same = Finding.objects.filter(rule=finding.rule, fingerprint=finding.fingerprint)
        same.filter(revision__version__plugin=plugin).update(waived=True)
        audit.record(
            "finding.waived",
            subject=f"revision:{finding.revision.public_id}",
            at=at,
            actor=actor_of(reviewer),
            customer=plugin.owner,
            rule=finding.rule,
            fingerprint=finding.fingerprint,
            reason=reason,
        )
    return waiver


def assess(change: StateChange) -> None:
    """A hook: what the checks handed over is given its risk and, where the rules allow it, certified by them."""
    if change.action != Action.PASS_SCAN:
        return
    revision = Revision.objects.select_related("version__plugin", "source").get(pk=change.revision_id)
    facts = risk_facts.of(revision)
    Revision.objects.filter(pk=revision.pk).update(risk=risk_of(facts))
    if passes_by_rule(facts):
        for kind in Kind:
            Review.objects.create(
                revision=revision, kind=kind, decision=Decision.APPROVE, reason_code=AUTOMATIC, at=change.at
            )
        states.transition(revision.pk, Action.AUTO_CERTIFY, audit.SYSTEM, change.at, reason_code=AUTOMATIC)


def _known(kind: str, decision: str) -> tuple[Review.Kind, Review.Decision]:
    if kind not in Kind.values or decision not in Decision.values:
        kinds, decisions = ", ".join(Kind.values), ", ".join(Decision.values)
        raise InvalidDecision(f"`{kind[:20]}`: `{decision[:20]}` is no decision", f"of {kinds}: {decisions}")
    return Kind(kind), Decision(decision)


def _check_turn(revision: Revision, kind: Review.Kind) -> None:
    if revision.state != _STATES[kind]:
        state = State(revision.state).label
        raise TransitionRefused(f"the {kind.label} cannot be decided while the revision is {state}", "look again")


def _check_other_person(revision: Revision, reviewer: User) -> None:
    if revision.reviews.filter(latest=True, reviewer=reviewer).exists():
        raise NotAReviewer(
            f"{reviewer.get_username()} decided the other review of this revision", "two people review each revision"
        )
