"""The same answers on every database the service runs on: SQLite in a file, and PostgreSQL where it is installed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from core.clock import now
from customers import accounts, api_keys, subscriptions
from customers.api_keys import Issued
from customers.models import Customer, Subscription, Tier
from tests.customers.answers import Call, caller, code
from tests.events.databases import KINDS, real_database
from tests.plugins_registry.conftest import asked

AUTHENTICATE, VALIDATE = "/api/plugins/authenticate", "/api/plugins/validate"
NUL_ID = {"plugin_name": "api-logger", "plugin_version": "1.0.0", "customer_id": "cus_\0"}


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """A real database of its own for the tests of this module; which kind."""
    with django_db_blocker.unblock(), real_database(request.param):
        yield request.param


@pytest.fixture
def acme(database: str) -> Customer:
    """A Pro customer in an otherwise empty database: not conftest's, which is in the test database of pytest-django."""
    call_command("flush", verbosity=0, interactive=False)
    return accounts.create_customer("Acme", "pro", at=now())


@pytest.fixture
def laptop(acme: Customer) -> Issued:
    """Acme's key."""
    return api_keys.issue(acme, "laptop", at=now())


@pytest.fixture
def call() -> Call:
    """A client of the API."""
    return caller(Client(SERVER_NAME="localhost"))


def test_a_token_is_made_used_downgraded_and_revoked(call: Call, acme: Customer, laptop: Issued) -> None:
    token = call("POST", AUTHENTICATE, asked(), laptop.secret)[1]["token"]
    shown = {"plugin_name": "api-logger", "plugin_token": token}
    assert call("POST", VALIDATE, shown, laptop.secret)[1]["features_active"][0] == "api_logging"
    assert call("POST", "/api/events", {"events": []}, token)[0] == 200
    free = Tier.objects.get(code="free")
    subscriptions.change_tier(Subscription.objects.get(customer=acme), free, at=now())
    assert code(call("POST", "/api/events", {"events": []}, token)) == (403, "feature_not_available")
    assert call("POST", VALIDATE, shown, laptop.secret)[1]["features_active"] == ["console_logging"]
    other = api_keys.issue(acme, "other", at=now())
    api_keys.revoke(laptop.key, at=now())
    assert code(call("POST", "/api/events", {"events": []}, token)) == (401, "revoked_api_key")
    assert call("POST", VALIDATE, shown, other.secret)[1]["reason"] == "revoked"


def test_text_no_column_takes_never_reaches_the_database(call: Call, laptop: Issued) -> None:
    assert code(call("POST", AUTHENTICATE, asked(plugin_name="a\0"), laptop.secret)) == (400, "invalid_plugin_name")
    assert code(call("POST", AUTHENTICATE, NUL_ID, laptop.secret)) == (403, "customer_mismatch")
    shown = {"plugin_name": "api-logger", "plugin_token": "\0.\0.\0"}
    assert call("POST", VALIDATE, shown, laptop.secret)[1]["reason"] == "malformed"


def test_many_hosts_at_once_each_get_their_own_token(database: str, acme: Customer, laptop: Issued) -> None:
    together = threading.Barrier(6)
    got: list[tuple[int, Any]] = []

    def ask(number: int) -> None:
        together.wait()
        try:
            host = caller(Client(SERVER_NAME="localhost"))
            got.extend(host("POST", AUTHENTICATE, asked(plugin_name=f"p{number}"), laptop.secret) for _ in range(5))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _ in got] == [200] * 30
    assert len({answer["token"] for _, answer in got}) == 30
