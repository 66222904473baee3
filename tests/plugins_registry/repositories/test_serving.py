"""The served addresses: whose they are, what they refuse, and what a proxy may keep."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import Client
from tuf.api.metadata import Metadata, Timestamp

from core.clock import now
from customers.models import Customer, Subscription, Tier
from plugins_registry.models import MetadataFile, RepositoryState
from plugins_registry.repositories import mark_dirty, timestamps
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.world import Founded, Served

HOSTILE = [
    "../catalog/1.root.json",
    "..%2f..%2fmanage.py",
    "%2e%2e/1.root.json",
    "1.root.json/",
    "1.root.json%00",
    "1.root.json%0a",
    "01.root.json",
    "0.root.json",
    "1.ROOT.json",
    "１.root.json",
    "root.json",
    "targets.json",
    "99999999999999999999.targets.json",
    "targets/" + "a" * 2_000,
    "targets//1.root.json",
    ".",
]


@pytest.fixture
def acme(registry: Founded) -> tuple[Customer, str]:
    buyer, key = world.customer("Acme", "pro", at=now())
    mark_dirty(buyer)
    world.publish()
    return buyer, key


def get(path: str, key: str = "", **headers: str) -> Any:
    sent = {"Authorization": f"Bearer {key}"} if key else {}
    return Client(SERVER_NAME="localhost").get(path, headers=sent | headers)


def test_a_director_is_there_for_its_own_customer_only(acme: tuple[Customer, str]) -> None:
    buyer, key = acme
    _, stranger = world.customer("Globex", "enterprise", at=now())
    address = f"/api/tuf/director/{buyer.public_id}/timestamp.json"
    assert get(address, key).status_code == 200
    assert get(address, stranger).status_code == 404
    assert get(address, stranger).content == get("/api/tuf/director/cus_nobody/timestamp.json", stranger).content
    assert get(address).status_code == 401


def test_without_a_registry_nobody_is_told_to_wait(db: Any) -> None:
    buyer, key = world.customer("Acme", "pro", at=now())
    assert get(f"/api/tuf/director/{buyer.public_id}/timestamp.json", key).status_code == 404
    assert not RepositoryState.objects.filter(name=buyer.public_id).exists()


def test_a_director_nobody_asked_for_yet_is_signed_because_of_the_question(registry: Founded) -> None:
    buyer, key = world.customer("Acme", "pro", at=now())
    address = f"/api/tuf/director/{buyer.public_id}/timestamp.json"
    for _ in range(2):
        early = get(address, key)
        assert (early.status_code, early["Retry-After"]) == (503, "1")
        assert early.json()["error"]["code"] == "not_yet_published"
    world.publish()
    assert get(address, key).status_code == 200


def test_the_catalog_is_there_for_anybody_also_with_a_key_that_is_none(acme: tuple[Customer, str]) -> None:
    assert get("/api/tuf/catalog/timestamp.json").status_code == 200
    assert get("/api/tuf/catalog/timestamp.json", "km_live_nonsense").status_code == 200


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_no_publication_writes_is_nothing(acme: tuple[Customer, str], path: str) -> None:
    buyer, key = acme
    for base in ("/api/tuf/catalog/", f"/api/tuf/director/{buyer.public_id}/"):
        assert get(base + path, key).status_code == 404, base


def test_what_is_unchanged_is_not_sent_again(acme: tuple[Customer, str]) -> None:
    first = get("/api/tuf/catalog/1.root.json")
    assert first["Cache-Control"] == "public, max-age=31536000, immutable"
    second = get("/api/tuf/catalog/1.root.json", **{"If-None-Match": first["ETag"]})
    assert (second.status_code, second.content) == (304, b"")
    buyer, key = acme
    stamp = get(f"/api/tuf/director/{buyer.public_id}/timestamp.json", key)
    assert stamp["Cache-Control"] == "private, no-cache"


def test_a_package_is_sent_only_while_its_customer_may_run_it(registry: Founded, acme: tuple[Customer, str]) -> None:
    buyer, key = acme
    build = world.built(world.published(registry, "shipper", required=("api_logging",), at=now()), buyer)
    name = f"km-plugin-shipper-{build.sha256[:12]}.kmpkg"
    address = f"/api/tuf/director/{buyer.public_id}/targets/shipper/1.0.0/linux-amd64/{build.sha256}.{name}"
    assert Served(key)._answer(address)[0] == 200
    Subscription.objects.filter(customer=buyer).update(tier=Tier.objects.get(code="free"))
    assert Served(key)._answer(address)[0] == 404  # at once, before anything was published


def test_a_package_whose_file_is_gone_is_a_failure_of_ours(registry: Founded, acme: tuple[Customer, str]) -> None:
    buyer, key = acme
    build = world.built(world.published(registry, "slow-tools", at=now()), buyer)
    build.package.delete(save=False)
    name = f"km-plugin-slow-tools-{build.sha256[:12]}.kmpkg"
    address = f"/api/tuf/director/{buyer.public_id}/targets/slow-tools/1.0.0/linux-amd64/{build.sha256}.{name}"
    assert get(address, key).status_code == 503


def test_a_timestamp_is_signed_anew_when_half_of_its_day_is_over(acme: tuple[Customer, str]) -> None:
    buyer, _ = acme
    moment = now()
    first = stamp(buyer, moment)
    assert stamp(buyer, moment + timedelta(hours=11)) == first
    renewed = stamp(buyer, moment + timedelta(hours=13))
    assert renewed.version == first.version + 1
    assert renewed.expires - first.expires > timedelta(hours=12)
    assert renewed.snapshot_meta == first.snapshot_meta
    assert stamp(buyer, moment + timedelta(hours=13, minutes=1)) == renewed


def test_versions_never_come_from_the_clock(acme: tuple[Customer, str]) -> None:
    buyer, _ = acme
    with time_machine.travel(now() + timedelta(days=3)):
        mark_dirty(buyer)
        world.publish()
    ahead = RepositoryState.objects.get(name=buyer.public_id)
    mark_dirty(buyer)
    world.publish()  # by a server whose clock is three days behind
    behind = RepositoryState.objects.get(name=buyer.public_id)
    assert behind.version == ahead.version + 1
    assert behind.timestamp_version == ahead.timestamp_version + 1


def test_a_client_in_the_middle_of_a_refresh_still_finds_its_files(acme: tuple[Customer, str]) -> None:
    buyer, key = acme
    before = RepositoryState.objects.get(name=buyer.public_id).version
    mark_dirty(buyer)
    world.publish()
    address = f"/api/tuf/director/{buyer.public_id}/{before}.snapshot.json"
    assert get(address, key).status_code == 200
    mark_dirty(buyer)
    world.publish(at=now() + timedelta(hours=2))
    assert get(address, key).status_code == 404  # nobody is in the middle of that one any more


def test_what_people_signed_is_never_dropped(registry: Founded) -> None:
    for days in range(1, 4):
        world.publish(at=now() + timedelta(days=days))
    kept = set(MetadataFile.objects.filter(repository__name="catalog").values_list("path", flat=True))
    assert {"1.root.json", "1.targets.json", "1.release.json", "1.release-0.json", "1.release-1.json"} <= kept


def test_a_refresh_of_five_builds_is_small(registry: Founded, acme: tuple[Customer, str], tmp_path: Path) -> None:
    buyer, key = acme
    for number in range(5):
        world.built(world.approved(registry, f"plugin-{number}", at=now()), buyer)
    registry.review(at=now())
    world.publish()
    mark_dirty(buyer)
    world.publish()
    cold, warm = Served(key), Served(key)
    assert len(world.listed(world.director_client(tmp_path, buyer, cold))) == 5
    assert cold.received <= 3_072
    world.director_client(tmp_path, buyer, warm).refresh()
    assert warm.received <= 1_024


def stamp(buyer: Customer, at: Any) -> Timestamp:
    data = timestamps.current(buyer.public_id, at=at)
    assert data is not None
    return Metadata[Timestamp].from_bytes(data).signed
