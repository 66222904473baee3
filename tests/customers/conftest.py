"""What the tests of this room stand on: customers, a key, and a process that remembers nothing of the last test."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from core.clock import now
from customers import accounts, api_keys, proofs, signing_keys
from customers.api_keys import Issued
from customers.models import Customer
from tests.customers.answers import Call, caller

MOMENT = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def fresh_memory() -> None:
    """Proofs, keys and counters of a process outlive a test's rows; a new test is a new process."""
    proofs.forget_all()
    signing_keys.forget()
    cache.clear()


@pytest.fixture
def moment() -> datetime:
    """A Sunday noon, for whoever takes time as an argument."""
    return MOMENT


@pytest.fixture
def acme(db: None, moment: datetime) -> Customer:
    """A customer of the Pro tier."""
    return accounts.create_customer("Acme", "pro", at=moment)


@pytest.fixture
def globex(db: None, moment: datetime) -> Customer:
    """Another customer, of the Free tier."""
    return accounts.create_customer("Globex", "free", at=moment)


@pytest.fixture
def issued(acme: Customer, moment: datetime) -> Issued:
    """Acme's key, as a laptop has it."""
    return api_keys.issue(acme, "laptop", at=moment)


@pytest.fixture
def call(client: Client) -> Call:
    """A client of the API."""
    return caller(client)


@pytest.fixture
def laptop(acme: Customer) -> Issued:
    """A key of Acme's that is valid at the present moment."""
    return api_keys.issue(acme, "laptop", at=now())


@pytest.fixture
def owner(acme: Customer) -> Issued:
    """A key of Acme's that may manage keys."""
    return api_keys.issue(acme, "owner", at=now(), scopes=["keys:manage"])


@pytest.fixture
def console(db: None, client: Client) -> Client:
    """An operator's browser, signed in."""
    client.force_login(User.objects.create(username="ops", is_staff=True, is_superuser=True))
    return client
