"""A plugin sends events with its own token, while its customer may use `api_logging`, and does nothing else with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import jwt
import pytest
from django.test import Client

from core.clock import now
from customers import api_keys, revocation, signing_keys, subscriptions, tokens
from customers.authentication import authenticate_sender
from customers.models import ApiKey, Customer, Subscription, Tier
from customers.queries import entitlement_of
from events.ingress import ADDRESSES
from tests.events.samples import Sender, an_event, answer_of, code_of, drain_everything, waiting

NOT_FOR_PLUGINS = [
    ("GET", "/api/activity"),
    ("GET", "/api/stats"),
    ("GET", "/api/customer"),
    ("GET", "/api/subscription/status"),
    ("GET", "/api/keys"),
    ("POST", "/api/keys"),
    ("DELETE", "/api/keys/key_1"),
    ("POST", "/api/keys/key_1/rotate"),
    ("POST", "/api/events/batch"),
    ("POST", "/api/events/telemetry"),
    ("POST", "/api/plugins/authenticate"),
    ("POST", "/api/plugins/validate"),
]


def token_of(key: ApiKey, *, at: datetime | None = None) -> str:
    moment = at or now()
    entitlement = entitlement_of(key.customer, at=moment)
    return tokens.mint_plugin_token(key, entitlement, plugin="api-logger", version="1.0.0", at=moment).token


@pytest.fixture(autouse=True)
def fresh_keys() -> None:
    """The signing keys a process remembers outlive a test's rows."""
    signing_keys.forget()


@pytest.fixture
def key(acme: Customer) -> ApiKey:
    """A key of Acme's with every scope, so that nothing is refused for want of one."""
    return api_keys.issue(acme, "laptop", at=now(), scopes=["events:write", "events:read", "keys:manage"]).key


@pytest.fixture
def plugin(key: ApiKey) -> Sender:
    """Acme's `api-logger`."""
    return Sender(Client(SERVER_NAME="localhost"), token_of(key))


def change_tier(customer: Customer, code: str) -> None:
    subscription = Subscription.objects.get(customer=customer)
    subscriptions.change_tier(subscription, Tier.objects.get(code=code), at=now())


def test_what_a_plugin_sends_is_its_customers(plugin: Sender, sender: Sender) -> None:
    event = an_event()
    assert answer_of(plugin.post([event]))["accepted"] == 1
    drain_everything()
    assert [each["id"] for each in answer_of(sender.get("/api/activity"))["events"]] == [event["id"]]
    assert answer_of(sender.post([event]))["duplicates"] == 1


@pytest.mark.parametrize(("method", "path"), NOT_FOR_PLUGINS)
@pytest.mark.parametrize("remembered", [False, True], ids=["fresh", "remembered"])
def test_every_other_address_refuses_it_also_while_its_proof_is_remembered(
    plugin: Sender, method: str, path: str, remembered: bool
) -> None:
    if remembered:
        answer_of(plugin.post([an_event()]))
    before = waiting()
    for _ in range(2):
        response = plugin.client.generic(
            method, path, b"{}", content_type="application/json", headers={"Authorization": f"Bearer {plugin.key}"}
        )
        assert code_of(response) == (401, "invalid_token")
        message = response.json()["error"]["message"]
        assert "`api-logger`" in message and "only `POST /api/events`" in message
    assert waiting() == before
    assert answer_of(plugin.post([an_event()]))["accepted"] == 1


def test_every_address_that_takes_events_is_named_above_but_one() -> None:
    assert set(ADDRESSES) - {path for _, path in NOT_FOR_PLUGINS} == {"/api/events"}


def test_a_plugins_token_is_no_api_key(plugin: Sender) -> None:
    body = b'{"ApiKey": "%s"}' % plugin.key.encode()
    response = plugin.client.post("/api/auth/exchange", body, content_type="application/json")
    assert code_of(response) == (401, "malformed_api_key")


@pytest.mark.django_db(transaction=True)
def test_without_the_feature_nothing_is_taken_and_the_reason_is_named(
    plugin: Sender, acme: Customer, sender: Sender
) -> None:
    answer_of(plugin.post([an_event()]))
    change_tier(acme, "free")
    response = plugin.post([an_event()])
    assert code_of(response) == (403, "feature_not_available")
    error = response.json()["error"]
    assert "`api_logging`" in error["message"] and "/api/subscription/status" in error["hint"]
    assert waiting() == 1
    assert answer_of(sender.post([an_event()]))["accepted"] == 1  # the customer's own key goes on


def test_a_downgrade_elsewhere_is_in_force_within_a_minute(key: ApiKey, acme: Customer) -> None:
    moment = now()
    header = f"Bearer {token_of(key, at=moment)}"
    assert "api_logging" in authenticate_sender(header, now=moment).features
    Subscription.objects.update(tier=Tier.objects.get(code="free"))  # by another process: this one hears nothing
    later = moment + timedelta(seconds=60)
    assert authenticate_sender(header, now=later).features == {"console_logging"}


@pytest.mark.django_db(transaction=True)
def test_an_upgrade_needs_a_new_token(acme: Customer, key: ApiKey, plugin: Sender) -> None:
    change_tier(acme, "free")
    plugin.key = token_of(key)
    assert code_of(plugin.post([an_event()])) == (403, "feature_not_available")
    change_tier(acme, "pro")
    assert code_of(plugin.post([an_event()])) == (403, "feature_not_available")
    plugin.key = token_of(key)
    assert answer_of(plugin.post([an_event()]))["accepted"] == 1


def test_a_plugin_may_send_and_nothing_else_whatever_its_key_may(key: ApiKey) -> None:
    principal = authenticate_sender(f"Bearer {token_of(key)}", now=now())
    assert (set(principal.scopes), principal.plugin, principal.key_id) == (
        {"events:write"},
        "api-logger",
        key.public_id,
    )


def test_a_key_that_may_only_read_gives_a_token_that_may_nothing(acme: Customer, plugin: Sender) -> None:
    reader = api_keys.issue(acme, "reader", at=now(), scopes=["events:read"]).key
    plugin.key = token_of(reader)
    assert code_of(plugin.post([an_event()])) == (403, "missing_scope")


@pytest.mark.django_db(transaction=True)
def test_each_revocation_ends_it_at_once_in_this_process(plugin: Sender, key: ApiKey, acme: Customer) -> None:
    answer_of(plugin.post([an_event()]))
    claims = jwt.decode(plugin.key, options={"verify_signature": False})
    revocation.revoke_token(acme, claims["jti"], expires_at=datetime.fromtimestamp(claims["exp"], UTC), at=now())
    assert code_of(plugin.post([an_event()])) == (401, "revoked_token")
    plugin.key = token_of(key)
    answer_of(plugin.post([an_event()]))
    revocation.suspend(acme, at=now())
    assert code_of(plugin.post([an_event()])) == (401, "customer_suspended")
    revocation.reinstate(acme, at=now())
    answer_of(plugin.post([an_event()]))
    revocation.revoke_all_tokens(acme, at=now())
    assert code_of(plugin.post([an_event()])) == (401, "revoked_token")
    key.customer.refresh_from_db()
    plugin.key = token_of(key)
    answer_of(plugin.post([an_event()]))
    api_keys.revoke(key, at=now())
    assert code_of(plugin.post([an_event()])) == (401, "revoked_api_key")


def test_it_ends_after_a_quarter_of_an_hour_remembered_or_not(key: ApiKey, plugin: Sender) -> None:
    plugin.key = token_of(key, at=now() - timedelta(seconds=900 + 31))
    assert code_of(plugin.post([an_event()])) == (401, "expired_token")
    plugin.key = token_of(key, at=now() - timedelta(seconds=900 - 10))
    answer_of(plugin.post([an_event()]))


def test_another_customers_key_does_not_help(globex: Customer, key: ApiKey, plugin: Sender) -> None:
    stolen = api_keys.issue(globex, "theirs", at=now()).key
    stolen.customer = key.customer  # what a token would say if minting mixed two customers up
    plugin.key = token_of(stolen)
    assert code_of(plugin.post([an_event()])) == (401, "invalid_token")


def test_a_customers_own_token_still_sends_without_the_feature(acme: Customer, key: ApiKey, plugin: Sender) -> None:
    Subscription.objects.update(tier=Tier.objects.get(code="free"))
    plugin.key = tokens.mint(key, entitlement_of(acme, at=now()), at=now()).token
    assert answer_of(plugin.post([an_event()]))["accepted"] == 1
    assert answer_of(plugin.post(b'{"events": []}', path="/batch"))["success"]
