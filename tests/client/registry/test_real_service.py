"""The real client against the real service: its roots, its catalog, its directors, what it allows and takes back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from km_client.agent.delivery import Destination
from km_client.registry import ordering
from km_client.registry.errors import RegistryError
from km_client.registry.link import opened
from km_protocol import api_keys
from pytest_django.live_server_helper import LiveServer

from core.clock import now
from customers.models import Customer
from plugins_registry.models import Approval, Block, PayloadBuild
from plugins_registry.repositories import dirty, mark_dirty
from plugins_registry.signing.signers import package_signer
from tests.client.registry.conftest import Laptop
from tests.client.registry.signed import Versioned
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.conftest import own_keys, registry
from tests.plugins_registry.repositories.world import Founded

if TYPE_CHECKING:
    from tests.client.registry.registry_server import RegistryServer

__all__ = ["own_keys", "registry"]


@dataclass
class Real:
    """A founded registry behind the service, a customer, and its machine."""

    registry: Founded
    customer: Customer
    laptop: Laptop

    def made(self, name: str, number: str) -> Versioned:
        reviewers = tuple(self.registry.reviewers)
        issuer: Any = package_signer()
        return Versioned.of(number, name, customer_id=self.customer.public_id, issuer=issuer, reviewers=reviewers)

    def publish(self, name: str, number: str = "1.0.0", **options: Any) -> PayloadBuild:
        """Reviewed, signed by both, built for the customer, listed."""
        made = self.made(name, number)
        payload = world.approved(self.registry, name, number, platform="any", at=now(), **options)
        PayloadBuild.objects.filter(pk=payload.pk).update(payload_digest=made.payload_digest)
        payload.refresh_from_db()
        for key in self.registry.reviewer_rows:
            Approval.objects.create(
                revision=payload.revision,
                platform="any",
                payload_digest=made.payload_digest,
                statement_sha256=made.payload_digest,  # any but that of the approvals `world` made of another payload
                envelope=b"{}",
                reviewer_key=key,
                at=now(),
            )
        self.registry.review(at=now())
        world.publish()
        world.built(payload, self.customer, content=made.package(), expires_at=now() + timedelta(days=30))
        self.sign_again()
        return payload

    def sign_again(self) -> None:
        mark_dirty(self.customer)
        world.publish()


@pytest.fixture
def real(live_server: LiveServer, registry: Founded, machine: Path) -> Real:
    customer, secret = world.customer("Acme", "pro", at=now())
    destination = Destination(live_server.url, api_keys.parse(secret))
    no_server = cast("RegistryServer", None)  # nothing here is pretended
    laptop = Laptop(no_server, destination, customer.public_id)
    made = Real(registry, customer, laptop)
    made.sign_again()
    laptop.pin()
    return made


def test_public_and_private_plugins_are_installed_updated_and_taken_back(real: Real) -> None:
    laptop = real.laptop
    payload = real.publish("slow-tools")
    real.publish("own-tool", owner=real.customer, private=True)
    laptop.refresh()
    assert laptop.versions() == {"own-tool": "1.0.0", "slow-tools": "1.0.0"}
    assert {one.state for one in laptop.standings().plugins.values()} == {"ok"}
    real.publish("slow-tools", "1.1.0")
    laptop.refresh()
    assert laptop.versions()["slow-tools"] == "1.1.0"
    Block.objects.create(plugin=payload.revision.version.plugin, level="hard", reason="it reads files", at=now())
    real.sign_again()
    dirty.mark_catalog_dirty()
    world.publish()
    laptop.check()
    found = laptop.standings().plugins
    assert (found["slow-tools"].state, found["own-tool"].state) == ("blocked", "ok")


def test_what_was_ordered_is_told(real: Real) -> None:
    real.publish("slow-tools")
    with opened(real.laptop.destination) as link:
        assert ordering.order(link, [], within_seconds=0.0) == {"slow-tools": "ready"}


def test_a_customer_whom_no_worker_has_seen_yet_is_told_to_wait(
    live_server: LiveServer, registry: Founded, machine: Path
) -> None:
    customer, secret = world.customer("Newcomer", "free", at=now())
    destination = Destination(live_server.url, api_keys.parse(secret))
    laptop = Laptop(cast("RegistryServer", None), destination, customer.public_id)
    laptop.pin()
    with pytest.raises(RegistryError) as told:
        laptop.refresh()
    assert told.value.code == "registry_not_ready"
    world.publish()  # what the worker does with the mark that the question left
    assert laptop.refresh().failed == []
