"""One founded registry with an author, two reviewers and three customers on three tiers, and somebody in the middle.

with world(tmp_path) as found:
    revision = found.author.submit(…); found.certify(revision); found.pro.does("plugins", "refresh")
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings
from km_client.registry.offers import own_platform

from tests.end_to_end.laptop import Laptop
from tests.end_to_end.registry_author import Author
from tests.end_to_end.registry_customers import Customer
from tests.end_to_end.registry_middle import Middle
from tests.end_to_end.registry_people import Registry
from tests.end_to_end.service import Account, Service

TIERS = ("free", "pro", "enterprise")
SETTINGS = {
    "KM_LEASE_REFRESH_SECONDS": "1",  # how late a laptop learns of another tier; 300 where nobody waits
    "KM_GO_PLATFORMS": own_platform(),  # each is built twice
    "KM_TOOLCHAIN_CACHE_DIR": str(settings.TOOLCHAIN_CACHE_DIR),  # the standard library: compiled once for all tests
}


@dataclass
class World:
    """Everybody. The customers reach the service through the middle."""

    service: Service
    middle: Middle
    author: Author
    free: Customer
    pro: Customer
    enterprise: Customer

    def change_tier(self, customer: Customer, tier: str) -> None:
        self.service.manage("change_subscription", "--customer", customer.id, "--tier", tier)

    def review(self, registry: Registry, revision: str) -> None:
        """Both reviews, by two people: then it is certified."""
        self.author.until(revision, "security_review")
        registry.rita.decide(revision, "approve")
        registry.rolf.decide(revision, "approve")
        self.author.until(revision, "certified")

    def publish(self, registry: Registry, revision: str) -> None:
        """What was built, signed by both for itself and in the catalog: then it is published."""
        self.author.until_built(revision)
        for reviewer in (registry.rita, registry.rolf):
            reviewer.sign(revision)
        self.author.until(revision, "approved", "building")
        registry.release()
        self.author.until(revision, "published")


@contextmanager
def world(place: Path) -> Iterator[World]:
    """Customers and author before the registry is founded: a Go plugin's checks take longer than that does."""
    directory = place / "service"
    directory.mkdir()
    with ExitStack() as stack:
        service = Service(directory, settings=SETTINGS).start()
        stack.callback(service.stop)
        middle = stack.enter_context(Middle(service.url))
        author, *customers = _accounts(service)
        laptops = [Laptop(place / name) for name in ("author", *TIERS)]
        for laptop in laptops:
            stack.callback(laptop.shut_down)
        laptops[0].init(author, service.url)
        free, pro, enterprise = map(Customer, customers, laptops[1:])
        yield World(service, middle, Author(service, laptops[0], author.api_key), free, pro, enterprise)


def _accounts(service: Service) -> list[Account]:
    """The author's, with a key that may submit, and one for each tier."""
    commands = [
        ["create_customer", "--name", name, "--tier", tier, "--email", f"{name.lower()}@example.com", "--json"]
        for name, tier in (("Author", "pro"), *((tier.title(), tier) for tier in TIERS))
    ]
    made = [json.loads(said) for said in service.manage_in_turn(*commands)]
    accounts = [Account(one["customer"], one["key_id"], one["api_key"], one["login"], one["password"]) for one in made]
    scoped = ("--customer", accounts[0].public_id, "--name", "submit", "--scope", "plugins:submit", "--json")
    key = json.loads(service.manage("issue_key", *scoped))
    return [replace(accounts[0], key_id=key["key_id"], api_key=key["api_key"]), *accounts[1:]]
