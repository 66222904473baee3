"""What the tests of this room stand on: a customer with a key, and a doorbell that only counts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client

from core.clock import now
from customers import accounts, api_keys, proofs
from customers.models import Customer, Tier
from events import wakeup
from tests.events.samples import Sender


class Doorbell:
    """Stands for `wakeup.Doorbell` where no worker is meant to come."""

    def __init__(self) -> None:
        self.presses = 0

    def press(self) -> None:
        self.presses += 1


@pytest.fixture(autouse=True)
def doorbell(monkeypatch: pytest.MonkeyPatch) -> Doorbell:
    """No test kicks a worker by accident."""
    bell = Doorbell()
    monkeypatch.setattr(wakeup, "_doorbell", bell)
    return bell


@pytest.fixture(autouse=True)
def fresh_proofs() -> Iterator[None]:
    """A proof outlives a test's rows."""
    proofs.forget_all()
    yield
    proofs.forget_all()


@pytest.fixture
def acme(db: None) -> Customer:
    """A customer of the Enterprise tier: no daily limit."""
    return accounts.create_customer("Acme", "enterprise", at=now())


@pytest.fixture
def globex(db: None) -> Customer:
    """Another customer."""
    return accounts.create_customer("Globex", "enterprise", at=now())


def sender_for(customer: Customer) -> Sender:
    return Sender(Client(SERVER_NAME="localhost"), api_keys.issue(customer, "laptop", at=now()).secret)


@pytest.fixture
def sender(acme: Customer) -> Sender:
    """Acme's client."""
    return sender_for(acme)


@pytest.fixture
def stranger(globex: Customer) -> Sender:
    """Globex's client."""
    return sender_for(globex)


@pytest.fixture
def limited(db: None) -> Sender:
    """A client whose customer may send ten events a day."""
    Tier.objects.filter(code="free").update(events_per_day=10)
    return sender_for(accounts.create_customer("Small", "free", at=now()))
