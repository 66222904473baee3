"""Two reviewers put their own keys under what was built: only then is a revision approved.

    statement_for(payload)                              the bytes to sign: canonical JSON, the same for both
    record_approval(revision, envelope, at=moment)      Approval; with the second of each platform: certified → approved

What is signed names the payload's digest, the manifest's and the source's, as the rows hold them; a statement that says
anything else is refused. The two are different people with different keys, may review, and are not of the author's
organisation. The private keys are never here.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from django.db import transaction
from km_protocol.errors import ProtocolError, SignatureError
from km_protocol.kmpkg import dsse, statements
from km_protocol.kmpkg.statements import Allowed, ReviewStatement

from customers import audit
from plugins_registry import people, reviewer_keys, states
from plugins_registry.errors import InvalidApproval, TransitionRefused
from plugins_registry.lifecycle import Action, State
from plugins_registry.models import Approval, BuildState, PayloadBuild, ReviewerKey, Revision

THRESHOLD = 2
_FETCH_AGAIN = "fetch the pending statement again with `km-review`, and sign that"


def statement_for(payload: PayloadBuild) -> bytes:
    """What both reviewers sign for `payload`. Raises `InvalidApproval` while there is nothing to sign."""
    revision = payload.revision
    if payload.state != BuildState.BUILT or revision.certified_at is None:
        raise InvalidApproval(f"there is no certified build of {payload}", "wait until it is built")
    if not payload.second_build_matches:
        raise InvalidApproval(f"no second build has given the same {payload}", "see the build's log")
    manifest = revision.manifest
    return statements.write(
        payload.payload_digest,
        ReviewStatement(
            name=manifest.name,
            version=manifest.version.text,
            permissions=Allowed.of(manifest.permissions),
            manifest_sha256=hashlib.sha256(revision.manifest_json.encode()).hexdigest(),
            source_sha256=revision.source_id,
            reviewed_at=statements.moment(revision.certified_at),
        ),
    )


def record_approval(revision: Revision, envelope: bytes, *, at: datetime) -> Approval:
    """Raises `InvalidApproval`, `NotAReviewer`, `TransitionRefused`. The same envelope again changes nothing."""
    key = _signer(envelope)
    people.require_any(key.user, people.REVIEWS, revision.version.plugin)
    with transaction.atomic():
        current = Revision.objects.select_for_update().get(pk=revision.pk)
        payload = _payload_stated(current, envelope)
        approval, created = _kept(current, payload, key, envelope, at)
        if created:
            _record(approval, at)
            if current.state == State.CERTIFIED and _is_complete(current):
                states.transition(current.pk, Action.APPROVE, people.actor_of(key.user), at, key=key.key_id)
    return approval


def signatures(payload: PayloadBuild) -> list[Approval]:
    """The approvals that count for `payload` as it is built and certified now: of keys in use, one for each person."""
    rows = Approval.objects.filter(
        revision=payload.revision_id, platform=payload.platform, statement_sha256=_pending(payload)
    )
    usable = rows.filter(reviewer_key__revoked_at=None).select_related("reviewer_key")
    return list({each.reviewer_key.user_id: each for each in usable}.values())


def is_signed(payload: PayloadBuild) -> bool:
    """Whether as many people as it takes have signed."""
    return len(signatures(payload)) >= THRESHOLD


def review_envelope(payload: PayloadBuild) -> bytes:
    """`km/review.dsse.json` of the payload's packages. Raises `InvalidApproval` until enough people have signed."""
    signed = signatures(payload)
    if len(signed) < THRESHOLD:
        raise InvalidApproval(f"{len(signed)} of {THRESHOLD} reviewers signed {payload}", "wait for the others")
    return dsse.merge([bytes(approval.envelope) for approval in signed])


def _signer(envelope: bytes) -> ReviewerKey:
    """The key whose signature, the only one, holds."""
    try:
        named = [signature.keyid for signature in dsse.read(envelope).signatures]
        keys = ReviewerKey.objects.filter(key_id__in=named, revoked_at=None).select_related("user")
        found = {key.key_id: key for key in keys}
        opened = dsse.opened(envelope, {name: reviewer_keys.raw_key(key) for name, key in found.items()}, 1)
    except SignatureError as error:
        raise InvalidApproval(f"[{error.code}] {error}", error.hint) from None
    if len(named) != 1:
        raise InvalidApproval(f"the envelope has {len(named)} signatures", "each reviewer sends their own, alone")
    return found[opened.signers[0]]


def _payload_stated(revision: Revision, envelope: bytes) -> PayloadBuild:
    """The build whose statement the envelope holds, byte for byte. Raises `InvalidApproval`, `TransitionRefused`."""
    if revision.state != State.CERTIFIED:
        state = State(revision.state).label
        raise TransitionRefused(f"revision {revision.public_id} is {state}, not certified", "there is nothing to sign")
    stated = dsse.payload_of(dsse.read(envelope))
    try:
        digest = statements.read(stated, ReviewStatement).payload_digest
    except ProtocolError as error:
        raise InvalidApproval(str(error), _FETCH_AGAIN) from None
    payload = revision.payloads.filter(payload_digest=digest, state=BuildState.BUILT).first()
    if payload is None or statement_for(payload) != stated:
        raise InvalidApproval("what is signed is not what is pending for this revision", _FETCH_AGAIN)
    return payload


def _kept(
    revision: Revision, payload: PayloadBuild, key: ReviewerKey, envelope: bytes, at: datetime
) -> tuple[Approval, bool]:
    """The row, and whether it is new."""
    place = {"platform": payload.platform, "statement_sha256": _pending(payload), "reviewer_key": key}
    found = revision.approvals.filter(**place).first()
    if found is not None:
        return found, False
    made = Approval.objects.create(
        revision=revision, **place, payload_digest=payload.payload_digest, envelope=envelope, at=at
    )
    return made, True


def _is_complete(revision: Revision) -> bool:
    """Whether two people signed what is built now, on every platform."""
    built = {payload.platform: payload for payload in revision.payloads.filter(state=BuildState.BUILT)}
    return all(platform in built and is_signed(built[platform]) for platform in revision.platforms)


def _pending(payload: PayloadBuild) -> str:
    """The SHA-256 of what is to be signed for `payload`."""
    return hashlib.sha256(statement_for(payload)).hexdigest()


def _record(approval: Approval, at: datetime) -> None:
    key, revision = approval.reviewer_key, approval.revision
    audit.record(
        "revision.signed",
        subject=f"revision:{revision.public_id}",
        at=at,
        actor=people.actor_of(key.user),
        customer=revision.version.plugin.owner,
        platform=approval.platform,
        payload_digest=approval.payload_digest,
        key=key.key_id,
    )
