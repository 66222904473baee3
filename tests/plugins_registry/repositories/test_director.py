"""What a customer's director lists, as python-tuf's own client sees it over the served addresses."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from core.clock import now
from customers import subscriptions
from customers.models import Subscription, Tier
from customers.states import Action
from plugins_registry.models import Block, MetadataFile, RepositoryState
from plugins_registry.repositories import mark_dirty
from plugins_registry.states import Action as RevisionAction
from plugins_registry.states import transition
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.world import Founded, Served


def test_a_customer_gets_the_bytes_of_what_the_director_lists(registry: Founded, tmp_path: Path) -> None:
    acme, key = world.customer("Acme", "pro", at=now())
    build = world.built(world.published(registry, "slow-tools", at=now()), acme)
    mark_dirty(acme)
    world.publish()
    client = world.director_client(tmp_path / "client", acme, Served(key))
    client.refresh()
    path = f"slow-tools/1.0.0/linux-amd64/km-plugin-slow-tools-{build.sha256[:12]}.kmpkg"
    info = client.get_targetinfo(path)
    assert info is not None
    assert Path(client.download_target(info)).read_bytes() == build.package.read()
    assert info.custom == {"payload_digest": build.payload.payload_digest}


def test_a_downgrade_takes_a_build_away_and_an_upgrade_gives_it_back(registry: Founded, tmp_path: Path) -> None:
    acme, key = world.customer("Acme", "pro", at=now())
    for name, required in (("plain", ()), ("shipper", ("api_logging",))):
        world.built(world.published(registry, name, required=required, at=now()), acme)
    mark_dirty(acme)
    world.publish()
    place = tmp_path / "client"
    assert world.listed(world.director_client(place, acme, Served(key))) == ["plain/1.0.0", "shipper/1.0.0"]
    subscription = Subscription.objects.get(customer=acme)
    subscriptions.change_tier(subscription, Tier.objects.get(code="free"), at=now())
    world.publish()
    assert world.listed(world.director_client(place, acme, Served(key))) == ["plain/1.0.0"]
    subscriptions.change_tier(subscription, Tier.objects.get(code="pro"), at=now())
    world.publish()
    assert world.listed(world.director_client(place, acme, Served(key))) == ["plain/1.0.0", "shipper/1.0.0"]


def test_a_subscription_that_is_not_paid_falls_to_free(registry: Founded, tmp_path: Path) -> None:
    acme, key = world.customer("Acme", "pro", at=now())
    world.built(world.published(registry, "shipper", required=("api_logging",), at=now()), acme)
    mark_dirty(acme)
    world.publish()
    subscriptions.transition(Subscription.objects.get(customer=acme), Action.PAUSE, at=now())
    world.publish()
    assert world.listed(world.director_client(tmp_path / "client", acme, Served(key))) == []


def test_the_end_of_a_grace_needs_nobody_to_mark_it(registry: Founded) -> None:
    acme, _ = world.customer("Acme", "pro", at=now())
    world.built(world.published(registry, "shipper", required=("api_logging",), at=now()), acme)
    subscriptions.transition(Subscription.objects.get(customer=acme), Action.MISS_PAYMENT, at=now())
    world.publish()
    assert b"shipper" in newest_targets(acme.public_id)
    world.publish(at=now() + timedelta(days=13))
    assert b"shipper" in newest_targets(acme.public_id)
    world.publish(at=now() + timedelta(days=14, seconds=1))
    assert b"shipper" not in newest_targets(acme.public_id)


@pytest.mark.parametrize("action", [RevisionAction.YANK, RevisionAction.QUARANTINE, RevisionAction.BLOCK])
def test_what_is_taken_off_the_shelf_is_listed_for_nobody(
    registry: Founded, tmp_path: Path, action: RevisionAction
) -> None:
    acme, key = world.customer("Acme", "pro", at=now())
    payload = world.published(registry, "slow-tools", at=now())
    world.built(payload, acme)
    mark_dirty(acme)
    world.publish()
    transition(payload.revision_id, action, "system", now())
    world.publish()
    assert world.listed(world.director_client(tmp_path / "client", acme, Served(key))) == []


def test_a_blocked_payload_leaves_the_director_and_enters_the_blocklist(registry: Founded, tmp_path: Path) -> None:
    acme, key = world.customer("Acme", "pro", at=now())
    payload = world.published(registry, "slow-tools", at=now())
    world.built(payload, acme)
    mark_dirty(acme)
    plugin = payload.revision.version.plugin
    block = Block.objects.create(
        plugin=plugin, sha256=payload.payload_digest, level="hard", reason="steals", actor="system", at=now()
    )
    from plugins_registry import publishing_hooks  # noqa: PLC0415 - as whoever blocks calls it

    publishing_hooks.block_changed(block)
    world.publish()
    assert world.listed(world.director_client(tmp_path / "client", acme, Served(key))) == []
    catalog = world.catalog_client(tmp_path / "catalog")
    info = catalog.get_targetinfo("blocklist.json")
    assert info is not None
    assert payload.payload_digest in Path(catalog.download_target(info)).read_text()


def test_a_private_plugin_is_listed_for_its_owner_and_its_review_stands_in_the_owners_repository(
    registry: Founded, tmp_path: Path
) -> None:
    acme, key = world.customer("Acme", "enterprise", at=now())
    globex, other = world.customer("Globex", "enterprise", at=now())
    payload = world.published(registry, "secret-tools", owner=acme, private=True, at=now())
    world.built(payload, acme)
    world.built(payload, globex)  # as if somebody had built it for a stranger
    for each in (acme, globex):
        mark_dirty(each)
    world.publish()
    own = world.director_client(tmp_path / "acme", acme, Served(key))
    assert world.listed(own) == ["secret-tools/1.0.0"]
    reviewed = own.get_targetinfo("secret-tools/1.0.0/linux-amd64")
    assert reviewed is not None
    assert reviewed.custom is not None and reviewed.custom["payload_digest"] == payload.payload_digest
    assert world.listed(world.director_client(tmp_path / "globex", globex, Served(other))) == []
    assert world.catalog_client(tmp_path / "catalog").get_targetinfo("secret-tools/1.0.0/linux-amd64") is None
    everything = b"".join(bytes(row.bytes) for row in MetadataFile.objects.filter(repository__name="catalog"))
    assert b"secret-tools" not in everything and acme.public_id.encode() not in everything


def test_a_package_past_its_end_is_not_listed(registry: Founded) -> None:
    acme, _ = world.customer("Acme", "pro", at=now())
    payload = world.published(registry, "slow-tools", at=now())
    world.built(payload, acme, expires_at=now() + timedelta(days=2))
    mark_dirty(acme)
    world.publish()
    assert b"slow-tools" in newest_targets(acme.public_id)
    world.publish(at=now() + timedelta(days=2, seconds=1))
    assert b"slow-tools" not in newest_targets(acme.public_id)


def test_a_mark_that_is_rolled_back_marks_nothing(registry: Founded) -> None:
    from django.db import transaction  # noqa: PLC0415

    acme, _ = world.customer("Acme", "pro", at=now())
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        mark_dirty(acme)
        raise ZeroDivisionError
    assert not RepositoryState.objects.filter(name=acme.public_id).exists()


def newest_targets(name: str) -> bytes:
    rows = MetadataFile.objects.filter(repository__name=name, path__endswith=".targets.json")
    return bytes(rows.order_by("-version")[0].bytes)
