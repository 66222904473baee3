"""A registry to measure: founded by people, with as many customers and versions as asked for.

    registry = world.found(directory, at=moment)
    customers(0, 1_000, plugins(registry, 5, moment), moment)       five builds for each
    refresh(directory)                                              {"refresh_cold_bytes": …, "refresh_warm_bytes": …}

Imported after Django is set up. Packages are rows without files: nobody fetches them here.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner

from core.clock import now
from customers import api_keys
from customers.models import Customer, Subscription, Tier
from plugins_registry.models import BuildState, CustomerBuild, PayloadBuild, Plugin, RepositoryState, Revision, Source
from plugins_registry.models import Version as PluginVersion
from plugins_registry.repositories import director, mark_everyone_dirty, rounds
from plugins_registry.repositories.ceremony import BIN_BITS
from plugins_registry.states import State
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.world import Founded, Served

INSTALLED = 5
_PLUGINS = 500

__all__ = ["BIN_BITS", "director", "mark_everyone_dirty", "now", "world"]


def plugins(registry: Founded, count: int, moment: datetime) -> list[PayloadBuild]:
    """Published plugins with names of usual length, two of which need more than Free."""
    wanted = [("console_logging",), ("api_logging",), (), ("risk_analysis",), ()]
    names = [f"console-logger-{number}" for number in range(count)]
    made = [world.approved(registry, name, required=wanted[number % 5], at=moment) for number, name in enumerate(names)]
    registry.review(at=moment)
    rounds.publish_everything(at=moment)
    return made


def customers(first: int, count: int, payloads: list[PayloadBuild], moment: datetime) -> None:
    """Rows for the customers `first` to `count`, each with a build of every payload, and its director's first mark."""
    enterprise = Tier.objects.get(code="enterprise")
    made = Customer.objects.bulk_create([Customer(name=f"C{number}") for number in range(first, count)])
    Subscription.objects.bulk_create([Subscription(customer=each, tier=enterprise) for each in made])
    CustomerBuild.objects.bulk_create(
        [_build(payload, each, moment) for each in made for payload in payloads], batch_size=2_000
    )
    RepositoryState.objects.bulk_create([RepositoryState(name=each.public_id) for each in made])


def _build(payload: PayloadBuild, buyer: Customer, moment: datetime) -> CustomerBuild:
    sha256 = hashlib.sha256(f"{payload.pk} {buyer.public_id}".encode()).hexdigest()
    return CustomerBuild(
        payload=payload, customer=buyer, state=BuildState.BUILT, sha256=sha256, size=3_104_221, built_at=moment
    )


def signatures_per_second() -> float:
    """The reference: signing alone."""
    signer, count = CryptoSigner.generate_ed25519(), 2_000
    begun = time.perf_counter()
    for _ in range(count):
        signer.sign(b"x" * 1_500)
    return count / (time.perf_counter() - begun)


def refresh(directory: Path) -> dict[str, Any]:
    """One customer's refresh: with nothing, and with what the first one kept."""
    buyer = Customer.objects.get(name="C0")
    key = api_keys.issue(buyer, "bench", at=now()).secret
    cold, warm = Served(key), Served(key)
    world.director_client(directory, buyer, cold).refresh()
    begun = time.perf_counter()
    world.director_client(directory, buyer, warm).refresh()
    return {
        "refresh_builds": INSTALLED,
        "refresh_cold_bytes": cold.received,
        "refresh_warm_bytes": warm.received,
        "refresh_warm_ms": round((time.perf_counter() - begun) * 1e3, 1),
    }


def catalog_of(versions: int, registry: Founded, moment: datetime) -> None:
    """That many reviewed versions, ten a plugin, signed by both reviewers and published."""
    source = Source.objects.create(sha256="0" * 64, size=1)
    plugins = Plugin.objects.bulk_create([Plugin(name=f"plugin-{number:04d}") for number in range(_PLUGINS)])
    numbers = [
        PluginVersion(plugin=plugins[number % _PLUGINS], number=f"1.{number // _PLUGINS}.0")
        for number in range(versions)
    ]
    revisions = [
        Revision(
            version=version,
            number=1,
            source=source,
            manifest_json=world.manifest(version.plugin.name, version.number, ()),
            platforms=[world.LINUX],
            state=State.PUBLISHED,
            submitted_by="system",
        )
        for version in PluginVersion.objects.bulk_create(numbers, batch_size=500)
    ]
    payloads = [
        PayloadBuild(
            revision=revision,
            platform=world.LINUX,
            state=BuildState.BUILT,
            payload_digest=hashlib.sha256(str(revision.pk).encode()).hexdigest(),
        )
        for revision in Revision.objects.bulk_create(revisions, batch_size=500)
    ]
    PayloadBuild.objects.bulk_create(payloads, batch_size=500)
    registry.review(at=moment)
    rounds.publish_everything(at=moment)


def catalog_refresh(directory: Path, versions: int) -> dict[str, Any]:
    """What a laptop with five plugins fetches of the catalog, with nothing kept and again."""
    last = versions // _PLUGINS - 1
    wanted = [f"plugin-{number:04d}/1.{last}.0/{world.LINUX}" for number in (3, 77, 250, 301, 499)]
    shutil.rmtree(directory, ignore_errors=True)
    cold, warm = Served(), Served()
    begun = time.perf_counter()
    for fetcher in (cold, warm):
        client = world.catalog_client(directory, fetcher)
        assert all(client.get_targetinfo(path) for path in wanted)
        if fetcher is cold:
            milliseconds = (time.perf_counter() - begun) * 1e3
    return {
        "catalog_5000_cold_bytes": cold.received,
        "catalog_cold_ms": round(milliseconds, 1),
        "catalog_5000_warm_bytes": warm.received,
    }
