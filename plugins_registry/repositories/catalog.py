"""Signing the catalog's online part: the blocklist, the snapshot of what people signed, the timestamp.

    publish(at=moment)      → True when it was due

What is reviewed was signed by people and is only named here: `targets` by an offline key, `release` and its bins by
two reviewers. With every online key stolen, the worst this part can do is to show an older set of those, or to block.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import F
from tuf.api.metadata import TargetFile

from plugins_registry.models import MetadataFile, RepositoryState
from plugins_registry.repositories import blocklist, files, metadata
from plugins_registry.repositories.delegating import BLOCKLIST, RELEASE, SECURITY
from plugins_registry.repositories.dirty import CATALOG
from plugins_registry.repositories.metadata import Published
from plugins_registry.signing.roles import SECURITY_LIFETIME, SNAPSHOT_LIFETIME, TIMESTAMP_LIFETIME, Role
from plugins_registry.signing.signers import signer_for

_BY_PEOPLE = rf"^[0-9]+\.(targets|{RELEASE}(-[0-9a-f]+)?)\.json$"
_log = structlog.get_logger(__name__)


def publish(*, at: datetime) -> bool:
    """Publish the catalog if it was marked or half of the blocklist's day is over; before it is founded, never."""
    with transaction.atomic():
        state = RepositoryState.objects.select_for_update().filter(name=CATALOG).first()
        if state is None or not _is_due(state, at) or files.newest(state, "targets") is None:
            return False
        _count(state, at)
        files.store(_signed(state, at))
        files.prune([state], at=at)
    _log.info("catalog_published", version=state.version)
    return True


def _is_due(state: RepositoryState, at: datetime) -> bool:
    published = state.published_at
    return state.dirty_since is not None or published is None or published <= at - SECURITY_LIFETIME / 2


def _count(state: RepositoryState, at: datetime) -> None:
    RepositoryState.objects.filter(pk=state.pk).update(
        version=F("version") + 1, timestamp_version=F("timestamp_version") + 1, dirty_since=None, published_at=at
    )
    state.refresh_from_db()


def _signed(state: RepositoryState, at: datetime) -> Iterator[MetadataFile]:
    """The files of the catalog, in the order they are to be written."""
    version = state.version
    blocked = blocklist.write(version)
    digest = hashlib.sha256(blocked).hexdigest()
    path = f"targets/{digest}.{BLOCKLIST}"
    yield MetadataFile(repository=state, path=path, version=version, bytes=blocked, at=at)
    listed = [TargetFile(len(blocked), {"sha256": digest}, BLOCKLIST)]
    unsigned = metadata.targets(CATALOG, version, at + SECURITY_LIFETIME, listed)
    security = Published(version, metadata.signed_by(unsigned, signer_for(Role.SECURITY)))
    yield files.file(state, SECURITY, security, at=at)
    roles = {**_signed_by_people(state), SECURITY: security}
    current = metadata.snapshot(CATALOG, version, at + SNAPSHOT_LIFETIME, roles)
    snapshot = Published(version, metadata.signed_by(current, signer_for(Role.CATALOG_SNAPSHOT)))
    yield files.file(state, "snapshot", snapshot, at=at)
    number = state.timestamp_version
    stamped = metadata.timestamp(CATALOG, number, at + TIMESTAMP_LIFETIME, snapshot.described())
    timestamp = Published(number, metadata.signed_by(stamped, signer_for(Role.CATALOG_TIMESTAMP)))
    yield files.file(state, "timestamp", timestamp, at=at)


def _signed_by_people(state: RepositoryState) -> dict[str, Published]:
    """The newest of each: `targets`, `release` and the bins."""
    rows = MetadataFile.objects.filter(repository=state).filter(
        path__regex=rf"^[0-9]+\.(targets|{RELEASE}(-[0-9a-f]+)?)\.json$"
    )
    return {row.path.split(".")[1]: Published(row.version, bytes(row.bytes)) for row in rows.order_by("version")}
