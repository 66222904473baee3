"""What others said of a payload, as its rows keep it: the reviewers' signatures, and where it came from.

    envelope, reviewers = review_of(payload)     one envelope with the signatures of all, and whose keys those are

Two reviewers sign one statement, each with a key that never leaves them. A key that was revoked counts no more, and
neither does a statement that says something else than the others, or than the rows.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable

import msgspec
from km_protocol import canonical
from km_protocol.errors import ProtocolError, SignatureError
from km_protocol.kmpkg import dsse, statements
from km_protocol.kmpkg.provenance import Provenance
from km_protocol.kmpkg.statements import ReviewStatement
from km_protocol.kmpkg.trust import REVIEW_THRESHOLD

from plugins_registry.building.errors import DigestDiffers, NotReviewed
from plugins_registry.models import Approval, PayloadBuild

_MAX_PROVENANCE_BYTES = 512 * 1024


def review_of(build: PayloadBuild) -> tuple[bytes, dict[str, bytes]]:
    """The envelope, and the keys that signed it, raw, by their ids. Raises `NotReviewed`."""
    approvals = Approval.objects.filter(
        revision=build.revision,
        platform=build.platform,
        payload_digest=build.payload_digest,
        reviewer_key__revoked_at__isnull=True,
    ).select_related("reviewer_key")
    for group in _by_statement(approvals):
        keys = {each.reviewer_key.key_id: base64.b64decode(each.reviewer_key.public_key) for each in group}
        people = {each.reviewer_key.user_id for each in group}
        if len(people) >= REVIEW_THRESHOLD:
            envelope = dsse.merge([bytes(each.envelope) for each in group])
            _check(build, envelope, keys)
            return envelope, keys
    raise NotReviewed(
        f"fewer than {REVIEW_THRESHOLD} reviewers signed for this payload",
        "two reviewers sign it with `km-review`, each with their own key",
    )


def provenance_of(build: PayloadBuild) -> Provenance:
    """Raises `DigestDiffers` when the row's is not of its form, or tells of another source."""
    try:
        told = canonical.loads(build.provenance.encode(), limit=_MAX_PROVENANCE_BYTES)
        provenance = msgspec.convert(told, Provenance, strict=True)
    except (ProtocolError, msgspec.ValidationError) as error:
        raise DigestDiffers(f"the payload's provenance cannot be read: {error}", "build the payload again") from None
    if provenance.source_sha256() != build.revision.source_id:
        raise DigestDiffers("the payload was built from another source", "look into how this came about")
    return provenance


def _by_statement(approvals: Iterable[Approval]) -> list[list[Approval]]:
    """The newest statement first; of one key, its newest signature."""
    groups: dict[bytes, dict[str, Approval]] = defaultdict(dict)
    for approval in approvals:
        try:
            payload = dsse.payload_of(dsse.read(bytes(approval.envelope)))
        except SignatureError as error:
            raise DigestDiffers(f"an approval cannot be read: {error}", "look into how this came about") from None
        groups[payload][approval.reviewer_key.key_id] = approval
    listed = [list(group.values()) for group in groups.values()]
    return sorted(listed, key=lambda group: max(each.pk for each in group), reverse=True)


def _check(build: PayloadBuild, envelope: bytes, keys: dict[str, bytes]) -> None:
    try:
        payload = dsse.verify(envelope, keys, REVIEW_THRESHOLD)
        stated = statements.read(payload, ReviewStatement)
    except ProtocolError as error:
        raise NotReviewed(f"the review cannot be verified: {error}", "have it signed again") from None
    same = stated.payload_digest == build.payload_digest
    if not same or stated.predicate.source_sha256 != build.revision.source_id:
        raise NotReviewed("the review is about another payload or source", "have it signed again")
