"""What the tests of this room stand on: two customers with keys, and a process that remembers nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from core.clock import now
from customers import accounts, api_keys, proofs, signing_keys
from customers.api_keys import Issued
from customers.models import Customer
from tests.customers.answers import Call, caller
from tests.plugins_registry.storing import moved

Authenticate = Callable[..., str]


@pytest.fixture(autouse=True)
def fresh_memory() -> Iterator[None]:
    """Proofs, keys and counters of a process outlive a test's rows; a new test is a new process."""
    proofs.forget_all()
    signing_keys.forget()
    cache.clear()
    yield
    proofs.forget_all()


@pytest.fixture
def own_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the registry's files are during the test."""
    return moved(monkeypatch, tmp_path / "registry")


@pytest.fixture
def acme(db: None) -> Customer:
    """A customer of the Pro tier."""
    return accounts.create_customer("Acme", "pro", at=now())


@pytest.fixture
def globex(db: None) -> Customer:
    """Another customer, of the Enterprise tier."""
    return accounts.create_customer("Globex", "enterprise", at=now())


@pytest.fixture
def laptop(acme: Customer) -> Issued:
    """Acme's key."""
    return api_keys.issue(acme, "laptop", at=now())


@pytest.fixture
def stranger(globex: Customer) -> Issued:
    """Globex's key."""
    return api_keys.issue(globex, "laptop", at=now())


@pytest.fixture
def call(client: Client) -> Call:
    """A client of the API."""
    return caller(client)


@pytest.fixture
def authenticate(call: Call) -> Authenticate:
    """`authenticate(key, name)` → a token for the plugin `name`, as a host gets it."""

    def send(key: str, name: str = "api-logger", version: str = "1.0.0") -> str:
        asked = {"plugin_name": name, "plugin_version": version}
        status, answer = call("POST", "/api/plugins/authenticate", asked, key)
        assert status == 200, answer
        return str(answer["token"])

    return send


def asked(**changed: Any) -> dict[str, Any]:
    """A good body of `/api/plugins/authenticate`, with changes; `None` leaves a field out."""
    body = {"plugin_name": "api-logger", "plugin_version": "1.0.0"} | changed
    return {name: value for name, value in body.items() if value is not None}
