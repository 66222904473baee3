"""A repository's timestamp, signed anew when somebody asks for it and half of its day is over.

So no clockwork signs for customers whose laptops are asleep, and a laptop that refreshes always gets at least half a
day. What the timestamp names does not change here: the process that answers requests needs the two timestamp keys and
no other.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F
from tuf.api.metadata import Metadata, Timestamp

from plugins_registry.models import MetadataFile, RepositoryState
from plugins_registry.repositories import files, metadata
from plugins_registry.repositories.dirty import CATALOG
from plugins_registry.repositories.metadata import Published
from plugins_registry.signing.roles import TIMESTAMP_LIFETIME, Role
from plugins_registry.signing.signers import signer_for


def current(repository: str, *, at: datetime) -> bytes | None:
    """The timestamp to serve now; `None` for a repository that has none. Raises `SignerUnreadable`."""
    row = MetadataFile.objects.filter(repository__name=repository, path=files.TIMESTAMP).first()
    if row is None or not _is_half_spent(row, at):
        return bytes(row.bytes) if row else None
    return _renew(repository, at)


def _is_half_spent(row: MetadataFile, at: datetime) -> bool:
    return row.at <= at - TIMESTAMP_LIFETIME / 2


def _renew(repository: str, at: datetime) -> bytes:
    """Of two requests at once, the second gets what the first signed."""
    with transaction.atomic():
        state = RepositoryState.objects.select_for_update().get(name=repository)
        row = MetadataFile.objects.get(repository=state, path=files.TIMESTAMP)
        if not _is_half_spent(row, at):
            return bytes(row.bytes)
        RepositoryState.objects.filter(pk=state.pk).update(timestamp_version=F("timestamp_version") + 1)
        state.refresh_from_db()
        before = Metadata[Timestamp].from_bytes(bytes(row.bytes)).signed
        number = state.timestamp_version
        stamped = metadata.timestamp(repository, number, at + TIMESTAMP_LIFETIME, before.snapshot_meta)
        role = Role.CATALOG_TIMESTAMP if repository == CATALOG else Role.DIRECTOR_TIMESTAMP
        published = Published(number, metadata.signed_by(stamped, signer_for(role)))
        files.store([files.file(state, "timestamp", published, at=at)])
    return published.data
