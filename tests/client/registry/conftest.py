"""A machine of its own for each test, a registry it trusts, and what a person would call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from km_client.agent.delivery import Destination
from km_client.registry import activation, roots, standing
from km_client.registry.builds import Build
from km_client.registry.link import opened
from km_client.registry.locking import alone
from km_client.registry.place import Place, place_for
from km_client.registry.provisioning import Done, Wanted, check, provision
from km_client.registry.standing import Standings

from tests.client.agent.conftest import machine
from tests.client.commands.conftest import km
from tests.client.registry.registry_server import CUSTOMER, RegistryServer
from tests.client.registry.signed import SignedRegistry, Versioned

__all__ = ["km", "machine"]


@dataclass
class Laptop:
    """One customer's machine."""

    server: RegistryServer
    destination: Destination
    customer: str = CUSTOMER

    @property
    def place(self) -> Place:
        return place_for(self.destination.url, self.customer)

    @property
    def registry(self) -> SignedRegistry:
        return self.server.registry

    def pin(self) -> None:
        with opened(self.destination) as link, alone(link.place.lock_file):
            roots.pin_from_service(link.place, link.api, link.token)

    def refresh(self, *names: str) -> Done:
        with opened(self.destination) as link:
            return provision(link, Wanted(frozenset(names) if names else None), now=datetime.now(UTC))

    def check(self) -> Done:
        with opened(self.destination) as link:
            return check(link, now=datetime.now(UTC))

    def installed(self) -> dict[str, Build]:
        return {build.name: build for _, build in activation.installed(self.place)}

    def directory(self, name: str = "checked") -> Path:
        return next(at for at, build in activation.installed(self.place) if build.name == name)

    def versions(self) -> dict[str, str]:
        return {name: build.version for name, build in self.installed().items()}

    def standings(self) -> Standings:
        return standing.load(self.place)

    def offer(self, number: str = "1.2.0", name: str = "checked", **said: object) -> str:
        """A sound package of that version, reviewed and published."""
        path = self.registry.offer(self.customer, self.made(number, name, **said), version=number)
        self.registry.publish()
        return path

    def made(self, number: str = "1.2.0", name: str = "checked", **said: object) -> Versioned:
        return Versioned.of(number, name, customer_id=self.customer, **said)

    def withdraw(self, path: str) -> None:
        """A downgrade: the director lists it no more."""
        del self.registry.offered[self.customer][path]
        self.registry.publish()


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as running:
        yield running


@pytest.fixture
def laptop(machine: Path, server: RegistryServer) -> Laptop:
    """A machine of `cus_a` that trusts this registry's root."""
    made = Laptop(server, Destination(server.url, server.new_key()))
    made.registry.offered[CUSTOMER] = {}
    made.registry.publish()
    made.pin()
    return made
