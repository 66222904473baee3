"""A revision's states as a table: what may happen in each, and where it leads.

    draft ─ submit ─► submitted ─ validate ─► validating ─ scan ─► scanning ─ pass_scan ─► security_review
      ─ pass_security ─► code_review ─ certify ─► certified ─ approve ─► approved
      ─ build ─► building ─ publish ─► published

`TRANSITIONS[state][action]` is the next state; an action that is not in the row is refused. A scanner that fails leads
to `scan_error` and back, never to a rejection. What was taken off the shelf comes back as `approved`: it passed its
reviews, and is built, checked and published again.
"""

from __future__ import annotations

from django.db.models import TextChoices


class State(TextChoices):
    """How far a revision has come."""

    DRAFT = "draft", "draft"
    SUBMITTED = "submitted", "submitted"
    VALIDATING = "validating", "validating"
    INVALID = "invalid", "invalid"
    SCANNING = "scanning", "scanning"
    SCAN_ERROR = "scan_error", "scan error"
    SECURITY_REVIEW = "security_review", "security review"
    CODE_REVIEW = "code_review", "code review"
    CERTIFIED = "certified", "certified"
    APPROVED = "approved", "approved"
    BUILDING = "building", "building"
    PUBLISHED = "published", "published"
    CHANGES_REQUESTED = "changes_requested", "changes requested"
    REJECTED = "rejected", "rejected"
    WITHDRAWN = "withdrawn", "withdrawn"
    QUARANTINED = "quarantined", "quarantined"
    YANKED = "yanked", "yanked"
    BLOCKED = "blocked", "blocked"
    SUPERSEDED = "superseded", "superseded"


class Action(TextChoices):
    """What may happen to a revision."""

    SUBMIT = "submit", "submit"
    VALIDATE = "validate", "start the validation"
    REFUSE = "refuse", "find the submission invalid"
    SCAN = "scan", "start the checks"
    FAIL_SCAN = "fail_scan", "record that a check could not run"
    RETRY_SCAN = "retry_scan", "run the checks again"
    PASS_SCAN = "pass_scan", "hand over to the reviewers"
    PASS_SECURITY = "pass_security", "pass the security review"
    CERTIFY = "certify", "certify"
    AUTO_CERTIFY = "auto_certify", "certify without a review"
    REQUEST_CHANGES = "request_changes", "request changes"
    REJECT = "reject", "reject"
    APPEAL = "appeal", "appeal"
    GRANT_APPEAL = "grant_appeal", "grant the appeal"
    DENY_APPEAL = "deny_appeal", "deny the appeal"
    WITHDRAW = "withdraw", "withdraw"
    SUPERSEDE = "supersede", "replace by a newer revision"
    APPROVE = "approve", "approve"
    BUILD = "build", "build"
    FAIL_BUILD = "fail_build", "record that a build failed"
    PUBLISH = "publish", "publish"
    QUARANTINE = "quarantine", "quarantine"
    YANK = "yank", "yank"
    BLOCK = "block", "block"
    RESTORE = "restore", "restore"
    UNBLOCK = "unblock", "lift the block"


_LEAVE = {Action.WITHDRAW: State.WITHDRAWN, Action.SUPERSEDE: State.SUPERSEDED}
_REFUSE = {Action.REQUEST_CHANGES: State.CHANGES_REQUESTED, Action.REJECT: State.REJECTED}
_STOP = {Action.QUARANTINE: State.QUARANTINED, Action.YANK: State.YANKED, Action.BLOCK: State.BLOCKED}

TRANSITIONS: dict[State, dict[Action, State]] = {
    State.DRAFT: {Action.SUBMIT: State.SUBMITTED, **_LEAVE},
    State.SUBMITTED: {Action.VALIDATE: State.VALIDATING, **_LEAVE},
    State.VALIDATING: {
        Action.SCAN: State.SCANNING,
        Action.REFUSE: State.INVALID,
        Action.FAIL_SCAN: State.SCAN_ERROR,
        **_LEAVE,
    },
    State.INVALID: _LEAVE,
    State.SCANNING: {Action.PASS_SCAN: State.SECURITY_REVIEW, Action.FAIL_SCAN: State.SCAN_ERROR, **_LEAVE},
    State.SCAN_ERROR: {Action.RETRY_SCAN: State.SCANNING, **_LEAVE},
    State.SECURITY_REVIEW: {
        Action.PASS_SECURITY: State.CODE_REVIEW,
        Action.AUTO_CERTIFY: State.CERTIFIED,
        **_REFUSE,
        **_LEAVE,
    },
    State.CODE_REVIEW: {Action.CERTIFY: State.CERTIFIED, **_REFUSE, **_LEAVE},
    State.CERTIFIED: {Action.APPROVE: State.APPROVED, **_REFUSE, Action.WITHDRAW: State.WITHDRAWN},
    State.APPROVED: {Action.BUILD: State.BUILDING, Action.WITHDRAW: State.WITHDRAWN, **_STOP},
    State.BUILDING: {Action.PUBLISH: State.PUBLISHED, Action.FAIL_BUILD: State.APPROVED, **_STOP},
    State.PUBLISHED: _STOP,
    State.CHANGES_REQUESTED: _LEAVE,
    State.REJECTED: {
        Action.APPEAL: State.REJECTED,
        Action.DENY_APPEAL: State.REJECTED,
        Action.GRANT_APPEAL: State.SECURITY_REVIEW,
    },
    State.WITHDRAWN: {Action.SUBMIT: State.SUBMITTED},
    State.QUARANTINED: {Action.RESTORE: State.APPROVED, Action.YANK: State.YANKED, Action.BLOCK: State.BLOCKED},
    State.YANKED: {Action.RESTORE: State.APPROVED, Action.BLOCK: State.BLOCKED},
    State.BLOCKED: {Action.BLOCK: State.BLOCKED, Action.UNBLOCK: State.QUARANTINED},
    State.SUPERSEDED: {},
}

REVIEWED = (State.SECURITY_REVIEW, State.CODE_REVIEW)
"""Where people have the next word: these make the queue."""

UNDECIDED = (
    State.DRAFT,
    State.SUBMITTED,
    State.VALIDATING,
    State.INVALID,
    State.SCANNING,
    State.SCAN_ERROR,
    *REVIEWED,
    State.CHANGES_REQUESTED,
)
"""Where a newer revision of the same version takes a revision's place."""

DECIDED = (
    State.CERTIFIED,
    State.APPROVED,
    State.BUILDING,
    State.PUBLISHED,
    State.QUARANTINED,
    State.YANKED,
    State.BLOCKED,
)
"""Where a version's source is settled: what changes is a new version."""
