"""The account against the real service: what it signs, a change of tier, a revoked key, and a service that is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from km_client.agent.delivery import Destination
from km_client.entitlement.account import Account
from km_client.entitlement.lease_store import place_of
from km_client.entitlement.plugin_tokens import PluginIdentity
from km_plugin_sdk import validate_token
from km_plugin_sdk.admission import FREE_FEATURES
from km_protocol import api_keys

from tests.end_to_end.service import Account as Customer
from tests.end_to_end.service import Service
from tests.end_to_end.waiting import eventually

LOGGER = PluginIdentity("api-logger", "1.0.0", "")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that wants to be asked every second."""
    directory = tmp_path / "service"
    directory.mkdir()
    running = Service(directory, settings={"KM_LEASE_REFRESH_SECONDS": "1"}).start()
    yield running
    if running.is_running:
        running.stop()


@pytest.fixture
def customer(service: Service) -> Customer:
    return service.create_customer(tier="free")


@pytest.fixture
def open_real(service: Service, customer: Customer, data_dir: Path) -> Iterator[Callable[[], Account]]:
    """A new agent's account of the customer, which wants a token for one plugin."""
    made: list[Account] = []

    def start() -> Account:
        destination = Destination(service.url, api_keys.parse(customer.api_key))
        made.append(Account(destination, place_of(destination), wake=lambda: None))
        made[-1].start()
        made[-1].want([LOGGER])
        return made[-1]

    yield start
    for account in made:
        account.stop(10.0)


def test_a_change_of_tier_a_service_that_is_gone_and_a_revoked_key(
    service: Service, customer: Customer, open_real: Callable[[], Account]
) -> None:
    account = open_real()
    eventually(lambda: account.token("api-logger"), what=f"a token of the Free tier: {account.report()}")
    assert (account.now().tier, account.now().features) == ("Free", FREE_FEATURES)

    service.manage("change_subscription", "--customer", customer.public_id, "--tier", "enterprise")
    eventually(lambda: "advanced_analytics" in account.now().features, within=90, what="the upgrade is seen")
    eventually(lambda: "advanced_analytics" in _features_of_token(account), what="the token says so too")

    account.stop(10.0)
    service.stop()
    account = open_real()
    assert "advanced_analytics" in account.now().for_plugin("api-logger")
    eventually(lambda: "cannot reach" in account.report().problem, what="that nobody answers is said")
    assert "advanced_analytics" in account.now().for_plugin("api-logger")

    service.revoke_key(customer)
    service.start()  # on the port it had
    account.refresh_now()
    eventually(lambda: account.now().state == "revoked", within=90, what=f"the end is seen: {account.report()}")
    assert (account.now().features, account.token("api-logger")) == (FREE_FEATURES, "")
    assert "revoked" in account.report().problem
    assert customer.api_key not in account.report().problem


def _features_of_token(account: Account) -> list[str]:
    now, token = account.now(), account.token("api-logger")
    claims = validate_token(token, keys=now.keys, plugin_name="api-logger", customer_id=now.customer_id, at=time.time())
    return claims.features
