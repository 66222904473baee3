"""`POST /api/plugins/provision`: what a customer may run, and what is built for it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from core.clock import now
from customers.models import Customer
from plugins_registry.models import CustomerBuild, RepositoryState
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.world import Founded


@pytest.fixture
def acme(db: Any) -> tuple[Customer, str]:
    return world.customer("Acme", "pro", at=now())


def ask(key: str, **body: Any) -> Any:
    asked = {"platform": "linux-amd64", **body}
    sent = {"Authorization": f"Bearer {key}"}
    client = Client(SERVER_NAME="localhost")
    return client.post("/api/plugins/provision", asked, content_type="application/json", headers=sent)


def states(answer: Any) -> dict[str, str]:
    return {f"{each['name']}/{each['version']}": each["state"] for each in answer.json()["plugins"]}


def test_what_is_missing_is_queued_and_becomes_ready_once_it_is_built_and_signed(
    registry: Founded, acme: tuple[Customer, str]
) -> None:
    buyer, key = acme
    payload = world.published(registry, "slow-tools", at=now())
    first = ask(key)
    assert first.status_code == 200
    assert states(first) == {"slow-tools/1.0.0": "queued"}
    assert first.json()["plugins"][0]["target"] is None
    assert first.json()["director"].endswith(f"/api/tuf/director/{buyer.public_id}/")
    CustomerBuild.objects.filter(customer=buyer).delete()
    build = world.built(payload, buyer)
    assert states(ask(key)) == {"slow-tools/1.0.0": "signing"}
    world.publish()
    [ready] = ask(key).json()["plugins"]
    assert ready["state"] == "ready"
    assert (ready["sha256"], ready["size"]) == (build.sha256, build.size)
    assert ready["target"] == f"slow-tools/1.0.0/linux-amd64/km-plugin-slow-tools-{build.sha256[:12]}.kmpkg"


def test_asking_twice_queues_one_build(registry: Founded, acme: tuple[Customer, str]) -> None:
    buyer, key = acme
    world.published(registry, "slow-tools", at=now())
    ask(key)
    ask(key)
    assert CustomerBuild.objects.filter(customer=buyer).count() == 1
    assert RepositoryState.objects.get(name=buyer.public_id).dirty_since is not None


def test_a_strangers_plugin_is_built_when_it_is_asked_for(registry: Founded, acme: tuple[Customer, str]) -> None:
    author, _ = world.customer("Author", "pro", at=now())
    world.published(registry, "their-tools", owner=author, at=now())
    _, key = acme
    assert states(ask(key)) == {"their-tools/1.0.0": "available"}
    assert states(ask(key, installed=["their-tools"])) == {"their-tools/1.0.0": "queued"}


def test_only_what_the_subscription_includes_and_the_platform_runs_is_listed(
    registry: Founded, acme: tuple[Customer, str]
) -> None:
    _, key = acme
    for name, options in {
        "plain": {},
        "shipper": {"required": ("api_logging",)},
        "analyst": {"required": ("advanced_analytics",)},
        "arm": {"platform": "linux-arm64"},
        "everywhere": {"platform": "any"},
    }.items():
        world.approved(registry, name, at=now(), **options)  # type: ignore[arg-type]
    registry.review(at=now())
    world.publish()
    assert sorted(states(ask(key))) == ["everywhere/1.0.0", "plain/1.0.0", "shipper/1.0.0"]


def test_the_newest_release_is_offered_not_the_newest_pre_release(
    registry: Founded, acme: tuple[Customer, str]
) -> None:
    _, key = acme
    for version in ("1.9.0", "1.10.0", "2.0.0-rc.1"):
        world.approved(registry, "slow-tools", version, at=now())
    registry.review(at=now())
    world.publish()
    assert states(ask(key)) == {"slow-tools/1.10.0": "queued"}


def test_somebody_elses_private_plugin_is_not_there(registry: Founded, acme: tuple[Customer, str]) -> None:
    owner, own = world.customer("Owner", "enterprise", at=now())
    world.published(registry, "secret-tools", owner=owner, private=True, at=now())
    _, key = acme
    assert states(ask(key, installed=["secret-tools"])) == {}
    assert states(ask(own)) == {"secret-tools/1.0.0": "queued"}


@pytest.mark.parametrize("body", [{"platform": "plan9-mips"}, {"installed": ["../x"]}, {"installed": "all"}])
def test_what_nobody_could_mean_is_refused(acme: tuple[Customer, str], body: dict[str, Any]) -> None:
    assert ask(acme[1], **body).status_code == 400


def test_a_stranger_is_told_nothing(db: Any) -> None:
    assert ask("km_live_nonsense").status_code == 401
