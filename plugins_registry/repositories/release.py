"""What two reviewers put their own keys under: the catalog's bins, and the private releases of customers.

    prepare(at=moment)                                    drafts of what is certified and not yet signed, or runs out
    pending(key, at=moment)                               → what this reviewer has not signed
    accept(key, "catalog", "release-0c", 3, signature, at=moment)      → True once it has both signatures

The server composes the bytes, and reviewers see what they add and take away against the version before, which their
own keys signed. The signatures are the certification: no key of the server can make or change one. With the second
signature a draft is published, and a revision whose platforms are all in the catalog is
`published`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signature
from tuf.api.metadata import Delegations, Metadata, SuccinctRoles, TargetFile, Targets

from core.errors import InvalidRequest, NotFound
from customers import audit
from plugins_registry.errors import TransitionRefused
from plugins_registry.models import (
    Approval,
    BuildState,
    MetadataFile,
    PayloadBuild,
    Plugin,
    ReleaseDraft,
    ReleaseSignature,
    RepositoryState,
    ReviewerKey,
    Revision,
)
from plugins_registry.repositories import delegating, dirty, files, metadata
from plugins_registry.repositories.delegating import RELEASE
from plugins_registry.repositories.dirty import CATALOG
from plugins_registry.repositories.metadata import Published
from plugins_registry.repositories.shelf import demands_of
from plugins_registry.signing.roles import RELEASE_LIFETIME, REVIEW_THRESHOLD
from plugins_registry.states import Action, State, transition

_CERTIFIED = (State.CERTIFIED, State.APPROVED, State.BUILDING, State.PUBLISHED)
_APPROVED = (State.APPROVED, State.BUILDING)
Listed = Mapping[str, TargetFile]


@dataclass(frozen=True, slots=True)
class Pending:
    """A draft that waits for a reviewer: `signed` is exactly what the key signs, `published` what is served now."""

    repository: str
    role: str
    version: int
    signed: bytes
    published: bytes | None


def prepare(*, at: datetime) -> int:
    """Draft every role whose signed content is not what is certified, or that runs out. How many drafts there are."""
    targets = delegating.catalog_targets()
    if targets is None:
        return 0
    known = {key.keyid for key in delegating.reviewers_of(targets)} - _revoked()
    with transaction.atomic():
        catalog = RepositoryState.objects.select_for_update().get(name=CATALOG)
        sorting = bins(catalog)
        if sorting is not None:
            _renew(catalog, delegating.reviewers_of(targets), sorting.bit_length, at)
            for role, listed in _by_bin(sorting, _certified(private=False)).items():
                _draft(catalog, role, listed, known, at)
        for owner, listed in _by_owner():
            state, _ = RepositoryState.objects.get_or_create(name=owner)
            _draft(state, RELEASE, listed, known, at)
        ReleaseSignature.objects.filter(draft__completed_at__isnull=True).exclude(key_id__in=known).delete()
    return ReleaseDraft.objects.filter(completed_at__isnull=True).count()


def found(reviewers: Sequence[Key], bits: int, *, at: datetime) -> None:
    """Draft `release` itself with its `2**bits` bins, or with the reviewers as they are from now on."""
    with transaction.atomic():
        state = RepositoryState.objects.select_for_update().get(name=CATALOG)
        before = files.newest(state, RELEASE)
        delegations = delegating.bin_delegations(reviewers, bits)
        _write(state, RELEASE, {}, (before.version if before else 0) + 1, at, delegations)


def pending(key: ReviewerKey, *, at: datetime) -> list[Pending]:
    """What the reviewer's key may sign and has not signed."""
    prepare(at=at)
    if key.revoked_at is not None or key.key_id not in _reviewers():
        return []
    rows = ReleaseDraft.objects.filter(completed_at__isnull=True).exclude(signatures__key_id=key.key_id)
    return [_shown(row) for row in rows.select_related("repository")]


def accept(key: ReviewerKey, repository: str, role: str, version: int, signature: bytes, *, at: datetime) -> bool:
    """Add a reviewer's raw signature. Whether the role is published with it. Raises `NotFound`, `InvalidRequest`."""
    with transaction.atomic():
        RepositoryState.objects.select_for_update().filter(name=repository).first()
        draft = ReleaseDraft.objects.filter(
            repository__name=repository, role=role, version=version, completed_at__isnull=True
        ).first()
        if draft is None:
            raise NotFound(f"`{repository}` waits for no version {version} of `{role}`", "ask again what is pending")
        unsigned = Metadata[Targets].from_bytes(bytes(draft.unsigned))
        _check(key, unsigned, signature)
        ReleaseSignature.objects.get_or_create(
            draft=draft, key_id=key.key_id, defaults={"signature": signature, "at": at}
        )
        subject = f"release:{repository}/{version}.{role}"
        audit.record("release.signed", subject=subject, at=at, actor=f"reviewer:{key.key_id}")
        return _complete(draft, unsigned, at)


def publish_ready(*, at: datetime) -> int:
    """Move on the revisions whose payloads the catalog lists by now. How many."""
    waiting = list(Revision.objects.filter(state__in=_APPROVED).select_related("version__plugin__owner"))
    ready = [revision for revision in waiting if _is_certified(revision)]
    for revision in ready:
        with suppress(TransitionRefused), transaction.atomic():  # another process, or an operator, was first
            if revision.state == State.APPROVED:
                transition(revision.pk, Action.BUILD, audit.SYSTEM, at)
            transition(revision.pk, Action.PUBLISH, audit.SYSTEM, at)
    return len(ready)


def _certified(*, private: bool, owner: str = "") -> dict[str, TargetFile]:
    """What passed both reviews and is built: the targets that reviewers are to sign."""
    visibility = Plugin.Visibility.PRIVATE if private else Plugin.Visibility.PUBLIC
    rows = PayloadBuild.objects.filter(
        state=BuildState.BUILT,
        revision__state__in=_CERTIFIED,
        revision__version__plugin__visibility=visibility,
        **({"revision__version__plugin__owner__public_id": owner} if owner else {}),
    )
    return {target.path: target for target in map(_target, rows.select_related("revision__version__plugin"))}


def _target(payload: PayloadBuild) -> TargetFile:
    """No file stands behind it, so its length is 0: its digest is the payload's, and says what any package may hold."""
    version = payload.revision.version
    custom = {
        "payload_digest": payload.payload_digest,
        "permissions": list(demands_of(payload.revision.manifest_json).permissions),
    }
    path = f"{version.plugin.name}/{version.number}/{payload.platform}"
    return metadata.target(path, 0, payload.payload_digest, custom)


def _by_bin(sorting: SuccinctRoles, certified: Listed) -> dict[str, dict[str, TargetFile]]:
    sorted_in: dict[str, dict[str, TargetFile]] = {role: {} for role in sorting.get_roles()}
    for path, target in certified.items():
        sorted_in[sorting.get_role_for_target(path)][path] = target
    return sorted_in


def _by_owner() -> Iterator[tuple[str, dict[str, TargetFile]]]:
    """The private plugins of each customer who has or had one signed."""
    private = Plugin.objects.filter(visibility=Plugin.Visibility.PRIVATE)
    for owner in private.order_by().values_list("owner__public_id", flat=True).distinct():
        listed = _certified(private=True, owner=str(owner))
        if listed or MetadataFile.objects.filter(repository__name=owner, path__endswith=f".{RELEASE}.json").exists():
            yield str(owner), listed


def bins(catalog: RepositoryState) -> SuccinctRoles | None:
    """The bins as the newest `release` delegates them, signed or still a draft; `None` before there is one."""
    draft = ReleaseDraft.objects.filter(repository=catalog, role=RELEASE).order_by("-version").first()
    data = bytes(draft.unsigned) if draft else None
    if data is None:
        published = files.newest(catalog, RELEASE)
        data = published.data if published else None
    delegations = Metadata[Targets].from_bytes(data).signed.delegations if data else None
    return delegations.succinct_roles if delegations else None


def _draft(state: RepositoryState, role: str, listed: Listed, known: set[str], at: datetime) -> None:
    """The next version of `role`, unless what is signed, or what already waits for signatures, says the same."""
    published = files.newest(state, role)
    waiting = ReleaseDraft.objects.filter(repository=state, role=role, completed_at__isnull=True)
    if published and _still_holds(published, listed, known, at):
        waiting.delete()
        return
    open_one = waiting.first()
    if open_one is None or not _may_stay(open_one, listed, at):
        _write(state, role, listed, (published.version if published else 0) + 1, at)


def _renew(catalog: RepositoryState, reviewers: Sequence[Key], bits: int, at: datetime) -> None:
    """Draft `release` itself again before it runs out; what it delegates stays as it is."""
    newest = files.newest(catalog, RELEASE)
    waits = ReleaseDraft.objects.filter(repository=catalog, role=RELEASE, completed_at__isnull=True).exists()
    if newest and not waits and _ends_soon(Metadata[Targets].from_bytes(newest.data).signed, at):
        found(reviewers, bits, at=at)


def _ends_soon(signed: Targets, at: datetime) -> bool:
    return signed.expires - at <= RELEASE_LIFETIME / 3


def _still_holds(published: Published, listed: Listed, known: set[str], at: datetime) -> bool:
    """It lists what is certified, has a while to go, and two who signed it are reviewers still."""
    signed = Metadata[Targets].from_bytes(published.data)
    enough = len(signed.signatures.keys() & known) >= REVIEW_THRESHOLD
    return enough and signed.signed.targets == listed and not _ends_soon(signed.signed, at)


def _may_stay(draft: ReleaseDraft, listed: Listed, at: datetime) -> bool:
    """A draft one reviewer has signed is finished first, as long as nothing in it was taken back since."""
    drafted = Metadata[Targets].from_bytes(bytes(draft.unsigned)).signed
    if drafted.expires - at <= RELEASE_LIFETIME / 2:
        return False
    begun = draft.signatures.exists()
    return drafted.targets == listed or (begun and drafted.targets.items() <= listed.items())


def _write(
    state: RepositoryState,
    role: str,
    listed: Listed,
    version: int,
    at: datetime,
    delegations: Delegations | None = None,
) -> None:
    ReleaseDraft.objects.filter(repository=state, role=role, completed_at__isnull=True).delete()
    unsigned = metadata.targets(state.name, version, at + RELEASE_LIFETIME, listed.values(), delegations=delegations)
    ReleaseDraft.objects.create(
        repository=state, role=role, version=version, unsigned=metadata.written(unsigned), created_at=at
    )


def _reviewers() -> dict[str, Key]:
    targets = delegating.catalog_targets()
    return {key.keyid: key for key in delegating.reviewers_of(targets)} if targets else {}


def _revoked() -> set[str]:
    return set(ReviewerKey.objects.filter(revoked_at__isnull=False).values_list("key_id", flat=True))


def _shown(draft: ReleaseDraft) -> Pending:
    published = files.newest(draft.repository, draft.role)
    unsigned = Metadata[Targets].from_bytes(bytes(draft.unsigned))
    return Pending(
        draft.repository.name, draft.role, draft.version, unsigned.signed_bytes, published.data if published else None
    )


def _check(key: ReviewerKey, unsigned: Metadata[Targets], signature: bytes) -> None:
    named = _reviewers().get(key.key_id)
    if named is None or key.revoked_at is not None:
        raise InvalidRequest(
            f"the catalog does not name the key `{key.key_id}` among its reviewers",
            "the holder of the catalog's offline key signs new reviewers in: `manage.py tuf_rotate --reviewers`",
        )
    try:
        named.verify_signature(Signature(key.key_id, signature.hex()), unsigned.signed_bytes)
    except UnverifiedSignatureError:
        raise InvalidRequest(
            "this is not the key's signature over what is pending", "fetch what is pending again, and sign that"
        ) from None


def _complete(draft: ReleaseDraft, unsigned: Metadata[Targets], at: datetime) -> bool:
    for row in draft.signatures.filter(key_id__in=_who_counts(draft)):
        unsigned.signatures[row.key_id] = Signature(row.key_id, bytes(row.signature).hex())
    if len(unsigned.signatures) < REVIEW_THRESHOLD:
        return False
    published = Published(draft.version, metadata.written(unsigned))
    files.store([files.file(draft.repository, draft.role, published, at=at)])
    ReleaseDraft.objects.filter(pk=draft.pk).update(completed_at=at)
    if draft.repository.name == CATALOG:
        dirty.mark_catalog_dirty()
    else:
        dirty.mark_names([draft.repository.name])
    if unsigned.signed.targets:
        publish_ready(at=at)
    return True


def _who_counts(draft: ReleaseDraft) -> set[str]:
    """Bins are delegated by `release`, all else by the catalog's targets: a new reviewer counts once both say so."""
    known = _reviewers().keys() - _revoked()
    published = files.newest(draft.repository, RELEASE) if draft.role.startswith(f"{RELEASE}-") else None
    delegations = Metadata[Targets].from_bytes(published.data).signed.delegations if published else None
    return known & delegations.keys.keys() if delegations else known


def _is_certified(revision: Revision) -> bool:
    """Whether every platform's payload has its two approvals and stands in what reviewers signed."""
    payloads = {row.platform: row for row in revision.payloads.filter(state=BuildState.BUILT)}
    wanted = revision.platforms or list(payloads)
    return bool(wanted) and all(
        platform in payloads and _is_approved(payloads[platform]) and _is_listed(revision, payloads[platform])
        for platform in wanted
    )


def _is_approved(payload: PayloadBuild) -> bool:
    approvals = Approval.objects.filter(
        revision=payload.revision,
        platform=payload.platform,
        payload_digest=payload.payload_digest,
        reviewer_key__revoked_at__isnull=True,
    )
    return approvals.values("reviewer_key_id").distinct().count() >= REVIEW_THRESHOLD


def _is_listed(revision: Revision, payload: PayloadBuild) -> bool:
    plugin, target = revision.version.plugin, _target(payload)
    repository, role = CATALOG, RELEASE
    if plugin.visibility == Plugin.Visibility.PRIVATE and plugin.owner is not None:
        repository = plugin.owner.public_id
    state = RepositoryState.objects.filter(name=repository).first()
    if state is None:
        return False
    if repository == CATALOG:
        sorting = bins(state)
        if sorting is None:
            return False
        role = sorting.get_role_for_target(target.path)
    published = files.newest(state, role)
    return (
        published is not None and Metadata[Targets].from_bytes(published.data).signed.targets.get(target.path) == target
    )
