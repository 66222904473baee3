"""Revisions as `km-review` reads them, from the same facts as the console's pages."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from django.contrib.auth.models import User

from core.errors import ApiError, NotFound
from core.rows import by_public_id
from customers.models import Member
from plugins_registry import people, queries, review_page
from plugins_registry.approvals import THRESHOLD, statement_for
from plugins_registry.errors import NotAReviewer
from plugins_registry.lifecycle import REVIEWED, State
from plugins_registry.models import BuildState, PayloadBuild, Review, ReviewerKey, Revision
from plugins_registry.review_schemas import ListedRevision, PayloadToSign, ShownRevision

MAX_LISTED = 500  # ten times what a person looks at in a day

WAITING = (*REVIEWED, State.CERTIFIED)


class NoSuchRevision(NotFound):
    code = "unknown_revision"


def queue(user: User) -> list[ListedRevision]:
    """What waits for a decision or a signature, the oldest first, but nothing of `user`'s own organisations."""
    own = Member.objects.filter(user=user).values("customer_id")
    rows = Revision.objects.filter(state__in=WAITING).exclude(version__plugin__owner__in=own)
    found = list(rows.select_related("version__plugin__owner").order_by("queued_at", "id")[:MAX_LISTED])
    counts = review_page.finding_counts(found)
    return [_listed(revision, counts[revision.pk]) for revision in found]


def shown(revision: Revision, key: ReviewerKey) -> ShownRevision:
    """One revision, with what `key` may sign."""
    listed = _listed(revision, review_page.finding_counts([revision])[revision.pk])
    return ShownRevision(
        **{name: getattr(listed, name) for name in ListedRevision.__struct_fields__},
        reviews=[_words(each) for each in revision.reviews.filter(latest=True).select_related("reviewer")],
        builds=[_build(each, key) for each in _built(revision)],
        threshold=THRESHOLD,
        why_not=_why_not(revision, key),
    )


def revision_named(public_id: str) -> Revision:
    """Raises `NoSuchRevision`."""
    revision = by_public_id(Revision.objects.select_related("version__plugin__owner", "source"), public_id)
    if revision is None:
        raise NoSuchRevision(f"there is no revision `{public_id[:40]}`", "`km-review list` names those that wait")
    return revision


def payload_of(revision: Revision, platform: str) -> PayloadBuild:
    """What was built for `platform`. Raises `NotFound`."""
    for build in _built(revision):
        if build.platform == platform:
            return build
    raise NotFound(f"nothing is built for `{platform[:40]}`", "`km-review show` names what is")


def signatures(build: PayloadBuild) -> list[str]:
    """The people whose signatures under `build` count."""
    return sorted({name for name, _ in _signed(build)})


def _signed(build: PayloadBuild) -> Sequence[tuple[str, int]]:
    rows = build.revision.approvals.filter(platform=build.platform, payload_digest=build.payload_digest)
    return list(rows.filter(reviewer_key__revoked_at=None).values_list("reviewer_key__user__username", "reviewer_key"))


def _built(revision: Revision) -> list[PayloadBuild]:
    rows = revision.payloads.filter(state=BuildState.BUILT).defer("log", "sbom", "provenance")
    return list(rows.select_related("revision").order_by("platform"))


def _build(build: PayloadBuild, key: ReviewerKey) -> PayloadToSign:
    try:
        statement = base64.b64encode(statement_for(build)).decode("ascii")
    except ApiError:  # not to be signed yet: `why_not` says so
        statement = ""
    return PayloadToSign(
        platform=build.platform,
        payload_digest=build.payload_digest,
        statement=statement,
        signed_by=signatures(build),
        signed_by_you=any(row == key.pk for _, row in _signed(build)),
        second_build_matches=build.second_build_matches,
    )


def _why_not(revision: Revision, key: ReviewerKey) -> str:
    """Why `key`'s owner can sign nothing, or nothing."""
    if revision.state != State.CERTIFIED:
        return f"the revision is {State(revision.state).label}; only a certified one waits for signatures"
    try:
        people.require_any(key.user, people.REVIEWS, revision.version.plugin)
        for build in _built(revision):
            statement_for(build)
    except NotAReviewer as error:
        return error.message
    except ApiError as error:
        return error.message
    return "" if _built(revision) else "nothing is built yet"


def _listed(revision: Revision, findings: dict[str, int]) -> ListedRevision:
    permissions = review_page.permissions(revision, queries.last_approved(revision))
    version = revision.version
    return ListedRevision(
        revision=revision.public_id,
        plugin=version.plugin.name,
        version=version.number,
        number=revision.number,
        state=revision.state,
        risk=revision.risk,
        author=str(version.plugin.owner or "Kilometers"),
        waiting_since=revision.queued_at.isoformat(),
        permissions={each.name: each.asked for each in permissions},
        widened=[each.name for each in permissions if each.widened],
        findings=findings,
        source_sha256=revision.source_id,
    )


def _words(review: Review) -> str:
    who = review.reviewer.get_username() if review.reviewer else "by rule"
    return f"{review.get_kind_display()}: {review.get_decision_display()}, {who}, {review.at:%Y-%m-%d}"
