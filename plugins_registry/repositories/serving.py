"""The bytes behind `/api/tuf/…`: only names of the strict form that publication writes, only what is published.

    metadata("catalog", "12.snapshot.json", at=moment)        → Served(data, etag, immutable=True)
    package(customer, "slow-tools/1.2.0/linux-amd64/3f9a….km-plugin-slow-tools-3f9a0c41d2e8.kmpkg", at=moment)

A path is looked up whole, as the text it is, and is never joined to a directory: there is nothing to traverse.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from django.db.models.fields.files import FieldFile

from customers.models import Customer
from plugins_registry.models import CustomerBuild, MetadataFile, RepositoryState
from plugins_registry.repositories import files, timestamps
from plugins_registry.repositories.ceremony import DIRECTOR
from plugins_registry.repositories.dirty import CATALOG, mark_dirty
from plugins_registry.repositories.shelf import shelves

MAX_PATH_CHARACTERS = 400
_NUMBER = r"[1-9][0-9]{0,15}"
_METADATA = re.compile(
    rf"(?:timestamp|{_NUMBER}\.(?:root|targets|snapshot|security|release(?:-[0-9a-f]+)?))\.json", re.ASCII
)
_ROOT = re.compile(rf"{_NUMBER}\.root\.json", re.ASCII)
_BLOCKLIST = re.compile(r"targets/[0-9a-f]{64}\.blocklist\.json", re.ASCII)
_PACKAGE = re.compile(
    r"targets/([a-z0-9-]+/[0-9A-Za-z.+-]+/[a-z0-9-]+)/([0-9a-f]{64})\.(km-plugin-[a-z0-9-]+-[0-9a-f]{12}\.kmpkg)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Served:
    """A file in memory. `immutable`: under this path there will never be another."""

    data: bytes
    immutable: bool

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.data).hexdigest()[:32]}"'


def catalog_file(path: str, *, at: datetime) -> Served | None:
    """A file of the catalog; `None` for what there is none of."""
    if _BLOCKLIST.fullmatch(path):
        return _stored(CATALOG, path)
    return _metadata(CATALOG, path, at)


def director_file(customer_id: str, path: str, *, at: datetime) -> Served | None:
    """A file of metadata of the customer's director. Its root is that of all directors."""
    if len(path) <= MAX_PATH_CHARACTERS and _ROOT.fullmatch(path):
        return _stored(DIRECTOR, path)
    return _metadata(customer_id, path, at)


def begin_director(customer: Customer) -> bool:
    """Whether `customer` gets a director in a moment: the registry was founded, and no worker came by since the mark.

    Directors are made for those who ask for them, so the first one who asks may be faster than the worker.
    """
    if not MetadataFile.objects.filter(repository__name=DIRECTOR).exists():
        return False
    state = RepositoryState.objects.filter(name=customer.public_id).first()
    if state is None:
        mark_dirty(customer)
    return state is None or state.published_at is None


def package(customer: Customer, path: str, *, at: datetime) -> FieldFile | None:
    """A package that the customer may run at this moment, not at that of the last publication."""
    match = _PACKAGE.fullmatch(path) if len(path) <= MAX_PATH_CHARACTERS else None
    if match is None:
        return None
    wanted = f"{match[1]}/{match[3]}"
    for build in shelves([customer], at=at)[customer.pk].builds:
        if build.sha256 == match[2] and build.path == wanted:
            return CustomerBuild.objects.get(customer=customer, sha256=build.sha256).package
    return None


def _metadata(repository: str, path: str, at: datetime) -> Served | None:
    if len(path) > MAX_PATH_CHARACTERS or not _METADATA.fullmatch(path):
        return None
    if path == files.TIMESTAMP:
        data = timestamps.current(repository, at=at)
        return Served(data, immutable=False) if data else None
    return _stored(repository, path)


def _stored(repository: str, path: str) -> Served | None:
    row = MetadataFile.objects.filter(repository__name=repository, path=path).first()
    return Served(bytes(row.bytes), immutable=True) if row else None
