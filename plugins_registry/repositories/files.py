"""The files of a repository: rows, so that what belongs together appears together or not at all.

Within a publication they are written in the order in which a client could need them: what is named, then what names
it, the timestamp last. Even without the transaction round it, a reader would find the old view or the new one. Files
of the version before stay for an hour, for whoever is in the middle of a refresh.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db.models import F, Q

from plugins_registry.models import MetadataFile, RepositoryState
from plugins_registry.repositories.metadata import Published

TIMESTAMP = "timestamp.json"
KEEP = timedelta(hours=1)  # longer than the slowest refresh
_SPENT = Q(path__endswith=".targets.json") | Q(path__endswith=".snapshot.json") | Q(path__endswith=".security.json")


def store(files: Iterable[MetadataFile]) -> None:
    """Write `files` in this order; one that is there already, the timestamp, is replaced."""
    MetadataFile.objects.bulk_create(
        list(files),
        batch_size=500,
        update_conflicts=True,
        update_fields=["version", "bytes", "at"],
        unique_fields=["repository", "path"],
    )


def file(state: RepositoryState, role: str, published: Published, *, at: datetime) -> MetadataFile:
    """The row of a role's file."""
    path = TIMESTAMP if role == "timestamp" else f"{published.version}.{role}.json"
    return MetadataFile(repository=state, path=path, version=published.version, bytes=published.data, at=at)


def newest(state: RepositoryState, role: str) -> Published | None:
    """The role's newest file; `None` when there is none."""
    row = MetadataFile.objects.filter(repository=state, path__endswith=f".{role}.json").order_by("-version").first()
    return Published(row.version, bytes(row.bytes)) if row else None


def prune(states: Sequence[RepositoryState], *, at: datetime) -> None:
    """Drop what nobody can still be reading. Roots and what people signed stay."""
    rows = MetadataFile.objects.filter(_SPENT, repository__in=states, at__lt=at - KEEP)
    rows.exclude(repository__name="catalog", path__endswith=".targets.json").filter(
        version__lt=F("repository__version")
    ).delete()


def first_root(state: RepositoryState) -> bytes | None:
    """What a client's trust begins with; its SHA-256 is the fingerprint."""
    row = MetadataFile.objects.filter(repository=state, path="1.root.json").first()
    return bytes(row.bytes) if row else None
