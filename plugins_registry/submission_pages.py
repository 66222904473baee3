"""An author's submissions, read and put into the shapes of `submission_schemas`.

Every read starts from the caller's organisation: another one's submission is not there, private or not.
"""

from __future__ import annotations

from datetime import datetime

from plugins_registry import differences, queries
from plugins_registry.lifecycle import State
from plugins_registry.models import Revision
from plugins_registry.submission_schemas import (
    DifferenceAnswer,
    SubmissionAnswer,
    SubmissionPage,
    SubmissionSummary,
    actions_in,
    appeal_answers,
    change_answers,
    check_answers,
    file_answers,
    finding_answers,
    review_answers,
    summary_fields,
)


def page(customer_pk: int, *, plugin: str, state: str, limit: str | None, cursor: str | None) -> SubmissionPage:
    """Two queries, however long. Raises `InvalidCursor`, `InvalidLimit`."""
    found = queries.submission_page(customer_pk, plugin=plugin, state=state, limit=limit, cursor=cursor)
    places = queries.places_in_queue(found.rows)
    rows = [SubmissionSummary(**summary_fields(row, places.get(row.pk))) for row in found.rows]
    return SubmissionPage(rows, found.next)


def one(revision: Revision, *, at: datetime, created: bool = False) -> SubmissionAnswer:
    """`revision` with its version and plugin. `created`: by this very request."""
    wait, before = queries.median_wait(at=at), queries.last_approved(revision)
    return SubmissionAnswer(
        **summary_fields(revision, queries.place_in_queue(revision)),
        created=created,
        risk=revision.risk,
        median_wait_seconds=round(wait.total_seconds()) if wait is not None else None,
        compared_with=before.public_id if before else None,
        checks=check_answers(revision.check_runs.all()),
        findings=finding_answers(revision.findings.all()),
        reviews=review_answers(revision.reviews.all()),
        appeals=appeal_answers(revision.appeals.all()),
        history=change_answers(revision.changes.all()),
        actions=actions_in(State(revision.state)),
    )


def difference(revision: Revision) -> DifferenceAnswer:
    """What changed since the last approved revision."""
    before = queries.last_approved(revision)
    changes = differences.between(before.source if before else None, revision.source)
    return DifferenceAnswer(before.public_id if before else None, file_answers(changes))
