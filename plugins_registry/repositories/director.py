"""Signing what customers may run: many directors in one transaction, each with the next version of its counter.

    publish_due(at=moment)      → how many; call it until it says 0

A director is due when it was marked, when something in it ends by the clock (a trial, a package), or when half of its
snapshot's week is over. Its rows are locked while they are read, so a change that comes meanwhile marks it again.
A process that dies in here leaves everything as it was, and the marks in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import F, Q
from securesystemslib.signer import Signer
from tuf.api.metadata import Delegations, TargetFile

from customers.models import Customer
from plugins_registry.models import MetadataFile, RepositoryState
from plugins_registry.repositories import delegating, files, metadata
from plugins_registry.repositories.metadata import Published
from plugins_registry.repositories.shelf import Build, Shelf, shelves
from plugins_registry.signing.roles import DIRECTOR_LIFETIME, SNAPSHOT_LIFETIME, TIMESTAMP_LIFETIME, Role
from plugins_registry.signing.signers import signer_for

BATCH = 200  # so that a transaction takes a fifth of a second
PREFIX = "cus_"
_log = structlog.get_logger(__name__)


def publish_due(*, at: datetime, batch: int = BATCH) -> int:
    """Publish up to `batch` directors that are due. Raises `SignerUnreadable`; then all stay due."""
    with transaction.atomic():
        due = _claim(at, batch)
        if due:
            _publish(due, at)
    if due:
        _log.info("directors_published", directors=len(due))
    return len(due)


def _claim(at: datetime, batch: int) -> list[RepositoryState]:
    """Lock what is due and give each its next version."""
    half_spent = at - SNAPSHOT_LIFETIME / 2
    is_due = Q(dirty_since__isnull=False) | Q(changes_at__lte=at) | Q(published_at__lte=half_spent)
    rows = RepositoryState.objects.filter(is_due, name__startswith=PREFIX).order_by("dirty_since", "pk")
    claimed = list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True)[:batch])
    counted = RepositoryState.objects.filter(pk__in=claimed)
    counted.update(
        version=F("version") + 1,
        timestamp_version=F("timestamp_version") + 1,
        dirty_since=None,
        published_at=at,
        changes_at=None,
    )
    return list(RepositoryState.objects.filter(pk__in=claimed))


def _publish(states: Sequence[RepositoryState], at: datetime) -> None:
    customers = {each.public_id: each for each in Customer.objects.filter(public_id__in=[row.name for row in states])}
    found = shelves(list(customers.values()), at=at)
    signers = Signers.current()
    private = delegating.private_releases(states)
    written: list[MetadataFile] = []
    changing: list[RepositoryState] = []
    for state in states:
        shelf = found[customers[state.name].pk] if state.name in customers else Shelf()
        written += _signed(state, shelf, signers, private.get(state.pk), at)
        if shelf.changes_at is not None:
            state.changes_at = shelf.changes_at
            changing.append(state)
    files.store(written)
    RepositoryState.objects.bulk_update(changing, ["changes_at"])
    files.prune(states, at=at)


class Signers:
    """The three keys of all directors, opened once for a batch."""

    def __init__(self, targets: Signer, snapshot: Signer, timestamp: Signer) -> None:
        self.targets, self.snapshot, self.timestamp = targets, snapshot, timestamp

    @classmethod
    def current(cls) -> Signers:
        return cls(*(signer_for(role) for role in _ROLES))


_ROLES = (Role.DIRECTOR_TARGETS, Role.DIRECTOR_SNAPSHOT, Role.DIRECTOR_TIMESTAMP)


def _signed(
    state: RepositoryState, shelf: Shelf, signers: Signers, private: delegating.Release | None, at: datetime
) -> Iterator[MetadataFile]:
    """The files of one director, in the order they are to be written."""
    scope, version = state.name, state.version
    listed = (target_of(build) for build in shelf.builds)
    delegations: Delegations | None = private.delegations if private else None
    unsigned = metadata.targets(scope, version, at + DIRECTOR_LIFETIME, listed, delegations=delegations)
    targets = Published(version, metadata.signed_by(unsigned, signers.targets))
    roles = {"targets": targets, **({"release": private.published} if private else {})}
    snapshot = Published(
        version,
        metadata.signed_by(metadata.snapshot(scope, version, at + SNAPSHOT_LIFETIME, roles), signers.snapshot),
    )
    number = state.timestamp_version
    stamped = metadata.timestamp(scope, number, at + TIMESTAMP_LIFETIME, snapshot.described())
    timestamp = Published(number, metadata.signed_by(stamped, signers.timestamp))
    for role, published in (("targets", targets), ("snapshot", snapshot), ("timestamp", timestamp)):
        yield files.file(state, role, published, at=at)


def target_of(build: Build) -> TargetFile:
    """What the director says of a build; the catalog must say the same of its payload."""
    custom: dict[str, object] = {"payload_digest": build.payload_digest}
    if build.private:
        custom["private"] = True  # its review stands in the owner's own `release`, not in everybody's catalog
    return metadata.target(build.path, build.size, build.sha256, custom)
