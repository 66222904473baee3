"""`POST /api/plugins/provision`: what a customer may run now, and building what is missing.

    provision(customer, ProvisionRequest("linux-amd64"), at=moment)
    → {"plugins": [{"name": "slow-tools", "version": "1.2.0", "platform": "linux-amd64", "state": "ready",
                    "target": "slow-tools/1.2.0/linux-amd64/km-plugin-slow-tools-3f9a0c41d2e8.kmpkg",
                    "sha256": "3f9a…", "size": 3104221, "features": ["api_logging"]}],
       "director": "https://…/api/tuf/director/cus_7Yd0…/", "catalog": "https://…/api/tuf/catalog/"}

The newest version of each plugin is listed. Built are our own plugins, the customer's private ones and what `installed`
names; of all others there may be thousands, which are `available` until somebody asks. This answer is a convenience: a
client installs what the signed metadata lists, and nothing because of what is said here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec
from django.conf import settings
from django.db import transaction
from km_protocol.kmpkg import names
from km_protocol.kmpkg.versions import Version

from core.errors import InvalidRequest
from customers.models import Customer
from customers.queries import entitlement_of
from plugins_registry.building.requests import request_build
from plugins_registry.models import BuildState, CustomerBuild, PayloadBuild, RepositoryState
from plugins_registry.repositories import dirty
from plugins_registry.repositories.shelf import demands_of, payloads_for, target_path

PLATFORMS = ("linux-amd64", "linux-arm64", "any")
READY, AVAILABLE, SIGNING = "ready", "available", "signing"
MAX_INSTALLED = 500


class ProvisionRequest(msgspec.Struct):
    """The machine's platform, and the plugins it has or wants beside those everybody gets. Other fields are ignored."""

    platform: str
    installed: list[str] = []


class ProvisionedPlugin(msgspec.Struct):
    """One plugin. `state`: available, queued, building, signing, ready or failed; `target` once it is built."""

    name: str
    version: str
    platform: str
    target: str | None
    sha256: str | None
    size: int | None
    features: list[str]
    state: str


class ProvisionAnswer(msgspec.Struct):
    """Ask again while a plugin is queued, building or signing; then refresh from `director`."""

    plugins: list[ProvisionedPlugin]
    director: str
    catalog: str


def provision(customer: Customer, asked: ProvisionRequest, *, at: datetime) -> ProvisionAnswer:
    """Raises `InvalidRequest`."""
    wanted = _checked(asked)
    payloads = newest(payloads_for(customer, (asked.platform, "any"), entitlement_of(customer, at=at)))
    with transaction.atomic():
        builds = _builds(customer, payloads, wanted, at)
        signed = _is_signed(customer)
    base = settings.PUBLIC_URL
    return ProvisionAnswer(
        [_told(payload, builds.get(payload.pk), signed=signed) for payload in payloads],
        f"{base}/api/tuf/director/{customer.public_id}/",
        f"{base}/api/tuf/catalog/",
    )


def newest(payloads: Iterable[PayloadBuild]) -> list[PayloadBuild]:
    """The highest version of each plugin by SemVer, ordered by name; a release is preferred to a pre-release."""
    found: dict[int, PayloadBuild] = {}
    for payload in payloads:
        plugin = payload.revision.version.plugin_id
        if plugin not in found or _rank(payload) > _rank(found[plugin]):
            found[plugin] = payload
    return sorted(found.values(), key=lambda payload: payload.revision.version.plugin.name)


def _rank(payload: PayloadBuild) -> tuple[bool, Version]:
    version = Version.parse(payload.revision.version.number)
    return not version.prerelease, version


def _checked(asked: ProvisionRequest) -> frozenset[str]:
    if asked.platform not in PLATFORMS:
        known = ", ".join(f"`{each}`" for each in PLATFORMS)
        raise InvalidRequest(f"`platform` is {asked.platform[:40]!a}, which nothing is built for", f"send {known}")
    if len(asked.installed) > MAX_INSTALLED or not all(map(names.is_plugin_name, asked.installed)):
        raise InvalidRequest(f"`installed` holds at most {MAX_INSTALLED} plugins' names", names.HINT)
    return frozenset(asked.installed)


def _builds(
    customer: Customer, payloads: list[PayloadBuild], wanted: frozenset[str], at: datetime
) -> dict[int, CustomerBuild]:
    """Its builds of `payloads`, by payload. Those it has or wants are asked for: a spent one is made anew."""
    rows = CustomerBuild.objects.filter(customer=customer, payload__in=payloads)
    held = set(rows.values_list("payload_id", flat=True))
    asked = (each for each in payloads if each.pk in held or _is_wanted(each, customer, wanted))
    return {payload.pk: request_build(payload, customer, at=at) for payload in asked}


def _is_wanted(payload: PayloadBuild, customer: Customer, wanted: frozenset[str]) -> bool:
    plugin = payload.revision.version.plugin
    is_official = plugin.owner is None or plugin.owner.public_id == settings.OFFICIAL_PUBLISHER
    return is_official or plugin.owner_id == customer.pk or plugin.name in wanted


def _is_signed(customer: Customer) -> bool:
    """Whether the director lists what is built; a customer's first call makes it due."""
    state = RepositoryState.objects.filter(name=customer.public_id).first()
    if state is None:
        dirty.mark_dirty(customer)
    return state is not None and state.published_at is not None and state.dirty_since is None


def _told(payload: PayloadBuild, build: CustomerBuild | None, *, signed: bool) -> ProvisionedPlugin:
    version = payload.revision.version
    state = build.state if build else AVAILABLE
    target = None
    if build and build.state == BuildState.BUILT:
        state = READY if signed else SIGNING
        target = target_path(version.plugin.name, version.number, payload.platform, build.sha256)
    return ProvisionedPlugin(
        name=version.plugin.name,
        version=version.number,
        platform=payload.platform,
        target=target,
        sha256=build.sha256 if build and target else None,
        size=build.size if build and target else None,
        features=list(demands_of(payload.revision.manifest_json).features),
        state=state,
    )
