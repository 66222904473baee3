"""A registry that was founded by people, plugins that passed their reviews, and python-tuf's own client as referee.

Everything here goes the way it goes in service: keys in files, signatures by those who hold them, metadata through the
served addresses. Only payloads and packages are a few bytes that nobody built.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.test import Client
from km_protocol.kmpkg import keys
from securesystemslib.signer import SSlibKey
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Metadata, Root, Targets
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from core.clock import now
from customers import accounts, api_keys
from customers.models import Customer
from plugins_registry.models import (
    Approval,
    BuildState,
    CustomerBuild,
    MetadataFile,
    PayloadBuild,
    Plugin,
    ReviewerKey,
    Revision,
    Source,
    Version,
)
from plugins_registry.repositories import ceremony, release, rounds
from plugins_registry.signing import key_files
from plugins_registry.states import State

BITS = 1  # two bins
LINUX = "linux-amd64"


@dataclass
class Person:
    """Somebody with a key of their own, which signs metadata, packages and reviews."""

    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> SSlibKey:
        return key_files.public_of(self.private)

    @property
    def raw(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def keyid(self) -> str:
        return keys.key_id(self.raw)

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data)


@dataclass
class Founded:
    """A registry after its ceremony: who holds which key, and the roots a client is given."""

    directory: Path
    roots: list[Person]
    targets: Person
    reviewers: list[Person]
    reviewer_rows: list[ReviewerKey]

    def signed(self, plan: ceremony.Plan, holders: list[Person], *, at: datetime, emergency: bool = False) -> list[str]:
        """Another ceremony, signed by `holders`."""
        directory = self.directory / f"ceremony-{len(list(self.directory.iterdir()))}"
        ceremony.prepare(directory, plan, at=at)
        for holder in holders:
            ceremony.sign(directory, holder.private)
        return ceremony.assemble(directory, at=at, emergency=emergency)

    def review(self, *, at: datetime, reviewers: tuple[int, ...] = (0, 1)) -> int:
        """Both reviewers sign whatever waits. How many roles were completed."""
        done = 0
        for number in reviewers:
            row, person = self.reviewer_rows[number], self.reviewers[number]
            for each in release.pending(row, at=at):
                signature = person.private.sign(each.signed)
                done += release.accept(row, each.repository, each.role, each.version, signature, at=at)
        return done


def found(directory: Path, *, at: datetime, bits: int = BITS) -> Founded:
    """Three holders of the root, one of the targets, two reviewers; nothing is published yet but their names."""
    registry = Founded(directory, [Person() for _ in range(3)], Person(), [Person(), Person()], [])
    for number, person in enumerate(registry.reviewers):
        registry.reviewer_rows.append(registered(person, f"reviewer{number}", at=at))
    public = [person.public for person in registry.roots]
    plan = ceremony.first_plan(public, registry.targets.public, [each.public for each in registry.reviewers], bits)
    registry.signed(plan, [registry.roots[0], registry.roots[2], registry.targets], at=at)
    registry.review(at=at)
    rounds.publish_everything(at=at)
    return registry


def registered(person: Person, name: str, *, at: datetime) -> ReviewerKey:
    """A user who may review, with that key."""
    user = get_user_model().objects.create_user(username=f"{name}@km.example")
    return ReviewerKey.objects.create(
        user=user, key_id=keys.key_id(person.raw), public_key=base64.b64encode(person.raw).decode(), added_at=at
    )


def customer(name: str, tier: str, *, at: datetime) -> tuple[Customer, str]:
    """A customer, and its API key."""
    made = accounts.create_customer(name, tier, at=at)
    return made, api_keys.issue(made, "laptop", at=at).secret


def manifest(name: str, version: str, required: tuple[str, ...]) -> str:
    return json.dumps(
        {
            "name": name,
            "version": version,
            "description": "Looks at every call.",
            "author": "Acme",
            "license": "MIT",
            "runtime": "python",
            "compatibility": {"kilometers_cli": ">=0.1.0"},
            "features": {"required": list(required), "optional": []},
            "permissions": {"network": True, "filesystem": False, "system": False},
        }
    )


def approved(
    registry: Founded,
    name: str,
    version: str = "1.0.0",
    *,
    required: tuple[str, ...] = (),
    owner: Customer | None = None,
    private: bool = False,
    platform: str = LINUX,
    at: datetime,
) -> PayloadBuild:
    """A plugin's version that passed its reviews, is built, and has both reviewers' statements."""
    visibility = Plugin.Visibility.PRIVATE if private else Plugin.Visibility.PUBLIC
    plugin, _ = Plugin.objects.get_or_create(name=name, owner=owner, visibility=visibility)
    number = Version.objects.create(plugin=plugin, number=version)
    sha256 = hashlib.sha256(f"{name} {version} source".encode()).hexdigest()
    source, _ = Source.objects.get_or_create(sha256=sha256, defaults={"size": 1})
    revision = Revision.objects.create(
        version=number,
        number=1,
        source=source,
        manifest_json=manifest(name, version, required),
        platforms=[platform],
        state=State.APPROVED,
        submitted_by="system",
        certified_at=at,
    )
    payload = PayloadBuild.objects.create(
        revision=revision,
        platform=platform,
        state=BuildState.BUILT,
        source_sha256=sha256,
        payload_digest=hashlib.sha256(f"{name} {version} payload".encode()).hexdigest(),
        second_build_matches=True,
    )
    for key in registry.reviewer_rows:
        Approval.objects.create(
            revision=revision,
            platform=platform,
            payload_digest=payload.payload_digest,
            envelope=b"{}",
            reviewer_key=key,
            at=at,
        )
    return payload


def published(registry: Founded, name: str, version: str = "1.0.0", *, at: datetime, **options: Any) -> PayloadBuild:
    """As `approved`, signed by both reviewers and in the catalog."""
    payload = approved(registry, name, version, at=at, **options)
    registry.review(at=at)
    rounds.publish_everything(at=at)
    payload.refresh_from_db()
    assert payload.revision.state == State.PUBLISHED
    return payload


def built(payload: PayloadBuild, buyer: Customer, *, content: bytes = b"", **columns: Any) -> CustomerBuild:
    """`buyer`'s package of `payload`. The director is not told."""
    data = content or f"{payload.payload_digest} for {buyer.public_id}".encode()
    sha256 = hashlib.sha256(data).hexdigest()
    build = CustomerBuild(
        payload=payload, customer=buyer, state=BuildState.BUILT, sha256=sha256, size=len(data), **columns
    )
    build.package.save(f"packages/{sha256}.kmpkg", ContentFile(data), save=False)
    build.save()
    return build


class Served(FetcherInterface):
    """Fetches from the service's own addresses as a customer does. `swapped` stands in for what was served."""

    def __init__(self, key: str = "") -> None:
        self.client = Client(SERVER_NAME="localhost")
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.swapped: dict[str, bytes | tuple[int, bytes]] = {}
        self.asked: list[tuple[str, int, int]] = []

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = url.removeprefix("http://localhost")
        status, data = self._answer(path)
        self.asked.append((path, status, len(data)))
        if status != 200:
            raise DownloadHTTPError(f"{path} answered {status}", status)
        return iter([data])

    def _answer(self, path: str) -> tuple[int, bytes]:
        swapped = self.swapped.get(path.rpartition("/")[2])
        if swapped is not None:
            return swapped if isinstance(swapped, tuple) else (200, swapped)
        response = self.client.get(path, headers=self.headers)
        content = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
        return response.status_code, content

    @property
    def received(self) -> int:
        """Bytes of bodies, errors' too."""
        return sum(size for *_, size in self.asked)


def root_of(repository: str, version: int = 1) -> bytes:
    return bytes(MetadataFile.objects.get(repository__name=repository, path=f"{version}.root.json").bytes)


def parsed_root(repository: str, version: int = 1) -> Metadata[Root]:
    return Metadata[Root].from_bytes(root_of(repository, version))


def catalog_client(directory: Path, fetcher: Served | None = None, root: bytes = b"") -> Updater:
    """A plain client of the catalog, with what it kept in `directory`."""
    return _client(directory, "/api/tuf/catalog/", fetcher or Served(), root or root_of("catalog"))


def director_client(directory: Path, buyer: Customer, fetcher: Served, root: bytes = b"") -> Updater:
    """A plain client of a customer's director, with what it kept in `directory`."""
    return _client(directory, f"/api/tuf/director/{buyer.public_id}/", fetcher, root or root_of("director"))


def _client(directory: Path, path: str, fetcher: Served, root: bytes) -> Updater:
    (directory / "targets").mkdir(parents=True, exist_ok=True)
    base = f"http://localhost{path}"
    config = UpdaterConfig(app_user_agent="referee")
    return Updater(str(directory), base, str(directory / "targets"), f"{base}targets/", fetcher, config, bootstrap=root)


def listed(client: Updater) -> list[str]:
    """What a director lists, by plugin and version, after a refresh."""
    client.refresh()
    targets = Metadata[Targets].from_file(str(Path(client._dir) / "targets.json")).signed.targets
    return sorted("/".join(path.split("/")[:2]) for path in targets)


def publish(*, at: datetime | None = None) -> None:
    rounds.publish_everything(at=at or now())


def later(moment: datetime, **delta: float) -> datetime:
    return moment + timedelta(**delta)
