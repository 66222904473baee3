"""Submissions as they cross the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from plugins_registry import schemas
from plugins_registry.appeals import MAX_TEXT_CHARACTERS
from plugins_registry.differences import FileChange
from plugins_registry.lifecycle import TRANSITIONS, Action, State
from plugins_registry.models import Appeal, CheckRun, Finding, Review, Revision, StateChange
from plugins_registry.reasons import REASONS

Moment = schemas.Moment


class SubmissionSummary(msgspec.Struct, kw_only=True):
    """One revision in a list. `place_in_queue` counts from 1, and is null for what waits for nobody of ours."""

    id: str
    plugin: str
    version: str
    revision: int
    visibility: str
    state: str
    state_since: Moment
    submitted_at: Moment
    submitted_by: str
    source_sha256: str
    place_in_queue: int | None


class SubmissionPage(msgspec.Struct):
    """Newest first. `next` is the cursor of the page after, null on the last one."""

    submissions: list[SubmissionSummary]
    next: str | None


class FindingAnswer(msgspec.Struct, kw_only=True):
    """What a check found. `line` is null when it is about the file as a whole; `waived`: found to be harmless."""

    check: str
    rule: str
    severity: str
    file: str
    line: int | None
    message: str
    hint: str
    waived: bool


class CheckAnswer(msgspec.Struct):
    """An automated check: `not_run`, `passed`, `failed`, or `error`, which is never held against the author."""

    check: str
    state: str
    detail: str


class ReviewAnswer(msgspec.Struct):
    """A reviewer's decision. Who decided is not told."""

    kind: str
    decision: str
    reason_code: str
    reason: str
    comment: str
    at: Moment


class AppealAnswer(msgspec.Struct):
    """An appeal; `outcome` is `granted`, `denied`, or empty while it is open."""

    text: str
    at: Moment
    outcome: str
    decided_at: Moment | None
    comment: str


class ChangeAnswer(msgspec.Struct):
    """A step of its way."""

    at: Moment
    action: str
    before: str
    after: str


class SubmissionAnswer(SubmissionSummary, kw_only=True):
    """One revision, whole. `median_wait_seconds`: from a submission to its first decision, lately; null if nobody was
    reviewed."""

    created: bool = True
    risk: str
    median_wait_seconds: int | None
    compared_with: str | None
    checks: list[CheckAnswer]
    findings: list[FindingAnswer]
    reviews: list[ReviewAnswer]
    appeals: list[AppealAnswer]
    history: list[ChangeAnswer]
    actions: list[str]


class FileChangeAnswer(msgspec.Struct):
    """A file that differs. `diff` is empty, and `shown` false, when it is no text or too long to be read."""

    file: str
    kind: str
    added: int
    removed: int
    diff: str
    shown: bool


class DifferenceAnswer(msgspec.Struct):
    """What changed since the last approved revision, `compared_with`; null when there is none, and all is added."""

    compared_with: str | None
    files: list[FileChangeAnswer]


class AppealRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Why the rejection is wrong."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_CHARACTERS)]


AUTHOR_ACTIONS = frozenset({Action.WITHDRAW, Action.APPEAL})
"""What an author may do, of all that may happen."""


def summary_fields(revision: Revision, place: int | None) -> dict[str, Any]:
    """The fields of a `SubmissionSummary`; `revision` with its version and plugin."""
    plugin = revision.version.plugin
    return {
        "id": revision.public_id,
        "plugin": plugin.name,
        "version": revision.version.number,
        "revision": revision.number,
        "visibility": plugin.visibility,
        "state": revision.state,
        "state_since": revision.state_since,
        "submitted_at": revision.submitted_at,
        "submitted_by": revision.submitted_by,
        "source_sha256": revision.source_id,
        "place_in_queue": place,
    }


def check_answers(runs: Iterable[CheckRun]) -> list[CheckAnswer]:
    return [CheckAnswer(run.check_name, run.state, run.detail) for run in runs]


def finding_answers(findings: Iterable[Finding]) -> list[FindingAnswer]:
    return [
        FindingAnswer(
            check=each.check_name,
            rule=each.rule,
            severity=each.severity,
            file=each.file,
            line=each.line,
            message=each.message,
            hint=each.hint,
            waived=each.waived,
        )
        for each in findings
    ]


def review_answers(reviews: Iterable[Review]) -> list[ReviewAnswer]:
    return [
        ReviewAnswer(
            each.kind, each.decision, each.reason_code, REASONS.get(each.reason_code, ""), each.comment, each.at
        )
        for each in reviews
    ]


def appeal_answers(appeals: Iterable[Appeal]) -> list[AppealAnswer]:
    return [AppealAnswer(each.text, each.at, each.outcome, each.decided_at, each.comment) for each in appeals]


def change_answers(changes: Iterable[StateChange]) -> list[ChangeAnswer]:
    return [ChangeAnswer(each.at, each.action, each.before, each.after) for each in changes]


def file_answers(changes: Iterable[FileChange]) -> list[FileChangeAnswer]:
    return [FileChangeAnswer(each.file, each.kind, each.added, each.removed, each.diff, each.shown) for each in changes]


def actions_in(state: State) -> list[str]:
    """What the author may do now."""
    return sorted(action.value for action in TRANSITIONS[state] if action in AUTHOR_ACTIONS)
