"""Which builds a customer may run now: what the director lists, and nothing else.

A build is on a customer's shelf while all of this holds: its revision is published; nothing of it is blocked; the
plugin is public or the customer's own; every feature its manifest requires is in what the customer may use at that
moment; the package is built, not revoked and not past its end. Everything is read for many customers at once.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from km_protocol.kmpkg import manifest as manifests
from km_protocol.kmpkg.package import file_name

from customers.entitlements import Entitlement
from customers.models import Customer
from customers.queries import entitlements_of
from plugins_registry.models import Block, BuildState, CustomerBuild, PayloadBuild, Plugin, Revision
from plugins_registry.states import State

_COLUMNS = (
    "customer_id",
    "sha256",
    "size",
    "expires_at",
    "payload__platform",
    "payload__payload_digest",
    "payload__revision_id",
    "payload__revision__version_id",
    "payload__revision__version__number",
    "payload__revision__version__plugin_id",
    "payload__revision__version__plugin__name",
    "payload__revision__version__plugin__visibility",
    "payload__revision__version__plugin__owner_id",
)


class Build(NamedTuple):
    """One package, with what is needed to list it; the columns of `_COLUMNS`."""

    customer_id: int
    sha256: str
    size: int
    expires_at: datetime | None
    platform: str
    payload_digest: str
    revision_id: int
    version_id: int
    version: str
    plugin_id: int
    plugin: str
    visibility: str
    owner_id: int | None

    @property
    def path(self) -> str:
        """Its target path: `slow-tools/1.2.0/linux-amd64/km-plugin-slow-tools-3f9a0c41d2e8.kmpkg`."""
        return target_path(self.plugin, self.version, self.platform, self.sha256)

    @property
    def private(self) -> bool:
        return self.visibility == Plugin.Visibility.PRIVATE


class Demands(NamedTuple):
    """What a manifest asks for."""

    required: frozenset[str]
    features: tuple[str, ...]
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shelf:
    """A customer's builds; `changes_at` is when, by the clock alone, one of them goes."""

    builds: tuple[Build, ...] = ()
    changes_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Blocks:
    """What is blocked now."""

    plugins: frozenset[int]
    versions: frozenset[int]
    digests: frozenset[str]

    @classmethod
    def now(cls) -> Blocks:
        held = Block.objects.filter(lifted_at__isnull=True).values_list("plugin_id", "version_id", "sha256")
        rows: Sequence[tuple[int, int | None, str]] = list(held)
        return cls(
            frozenset(plugin for plugin, version, sha256 in rows if version is None and not sha256),
            frozenset(version for _, version, sha256 in rows if version is not None and not sha256),
            frozenset(sha256 for _, _, sha256 in rows if sha256),
        )

    def hold(self, plugin_id: int, version_id: int, *digests: str) -> bool:
        return plugin_id in self.plugins or version_id in self.versions or not self.digests.isdisjoint(digests)


def target_path(plugin: str, version: str, platform: str, sha256: str) -> str:
    """Where a package lies among the director's targets."""
    return f"{plugin}/{version}/{platform}/{file_name(plugin, sha256)}"


def shelves(customers: Sequence[Customer], *, at: datetime) -> dict[int, Shelf]:
    """The shelf of each of `customers`, by its number."""
    entitled, blocks = entitlements_of(customers, at=at), Blocks.now()
    built = defaultdict(list)
    for build in _built(customers, at):
        built[build.customer_id].append(build)
    demands = _demands({build.revision_id for builds in built.values() for build in builds})
    return {customer.pk: _shelf(entitled[customer.pk], built[customer.pk], demands, blocks) for customer in customers}


def payloads_for(customer: Customer, platforms: Sequence[str], entitlement: Entitlement) -> list[PayloadBuild]:
    """The payloads `customer` may run now on one of `platforms`, whether or not its packages are built."""
    own = Q(revision__version__plugin__visibility=Plugin.Visibility.PUBLIC) | Q(
        revision__version__plugin__owner=customer
    )
    rows = PayloadBuild.objects.filter(own, revision__state=State.PUBLISHED, state=BuildState.BUILT)
    found = rows.filter(platform__in=platforms).select_related("revision__version__plugin__owner")
    blocks = Blocks.now()
    return [payload for payload in found if _may_run(payload, entitlement, blocks)]


def demands_of(manifest_json: str) -> Demands:
    """What the manifest asks for; the same text is read once."""
    return _read(manifest_json)


@functools.lru_cache(maxsize=4096)
def _read(manifest_json: str) -> Demands:
    manifest = manifests.parse(manifest_json.encode())
    asked = manifest.permissions
    permissions = tuple(name for name in ("network", "filesystem", "system", "api_key") if getattr(asked, name))
    features = manifest.features
    return Demands(frozenset(features.required), (*features.required, *features.optional), permissions)


def _may_run(payload: PayloadBuild, entitlement: Entitlement, blocks: Blocks) -> bool:
    version = payload.revision.version
    blocked = blocks.hold(version.plugin_id, version.pk, payload.payload_digest)
    return not blocked and demands_of(payload.revision.manifest_json).required <= entitlement.features


def _built(customers: Sequence[Customer], at: datetime) -> list[Build]:
    rows: QuerySet[CustomerBuild, tuple[Any, ...]] = (
        CustomerBuild.objects.filter(customer__in=[customer.pk for customer in customers])
        .filter(state=BuildState.BUILT, revoked_at__isnull=True, payload__revision__state=State.PUBLISHED)
        .exclude(expires_at__lte=at)
        .order_by("id")
        .values_list(*_COLUMNS)
    )
    return [Build(*row) for row in rows.iterator()]


def _demands(revisions: set[int]) -> dict[int, Demands]:
    rows = Revision.objects.filter(pk__in=revisions).values_list("pk", "manifest_json")
    return {revision: demands_of(text) for revision, text in rows}


def _shelf(entitlement: Entitlement, built: list[Build], demands: dict[int, Demands], blocks: Blocks) -> Shelf:
    listed = [
        build
        for build in built
        if demands[build.revision_id].required <= entitlement.features
        and (not build.private or build.owner_id == build.customer_id)
        and not blocks.hold(build.plugin_id, build.version_id, build.payload_digest, build.sha256)
    ]
    ends = [build.expires_at for build in listed if build.expires_at] + [entitlement.ends_at]
    return Shelf(tuple(listed), min((end for end in ends if end is not None), default=None))
