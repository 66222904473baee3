"""A lease is believed only when this server signed it, for this customer and this machine, and it is no replay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from km_plugin_sdk.admission import FREE_FEATURES
from km_protocol.api_keys import ApiKey

from tests.client.entitlement.conftest import BORN, Open
from tests.client.entitlement.lease_server import KEYS, LeaseServer, Signer

ENTERPRISE = {"tier": "Enterprise", "features": ["console_logging", "api_logging", "advanced_analytics"]}
PRO = FREE_FEATURES | {"api_logging"}
Forge = Callable[[LeaseServer, dict[str, Any]], str]

FORGERIES: dict[str, tuple[Forge, str]] = {
    "signed by a stranger": (lambda _, claims: Signer.new("first").sign(claims), "does not verify"),
    "signed with a key nobody published": (lambda _, claims: Signer.new("strange").sign(claims), "no Ed25519 key"),
    "signed with HS256 and the public key": (lambda server, claims: server.signer.hs256(claims), "HS256"),
    "signed with nothing": (lambda server, claims: server.signer.unsigned(claims), "none"),
    "a changed signature": (lambda server, claims: server.signer.sign(claims)[:-6] + "AAAAAA", "does not verify"),
    "cut": (lambda server, claims: server.signer.sign(claims)[:-20], "refused"),
    "another customer's": (lambda server, claims: server.signer.sign(claims | {"sub": "cus_99"}), "cus_99"),
    "another machine's": (lambda server, claims: server.signer.sign(claims | {"machine": "0" * 32}), "another machine"),
    "an access token": (lambda server, claims: server.signer.sign(claims, "at+jwt"), "km-lease+jwt"),
    "for somebody else": (lambda server, claims: server.signer.sign(claims | {"aud": "km:api"}), "km:api"),
    "of another issuer": (lambda server, claims: server.signer.sign(claims | {"iss": "evil"}), "not of kilometers"),
    "with a status there is not": (lambda server, claims: server.signer.sign(claims | {"status": "gold"}), "status"),
    "no JWT": (lambda *_: "no.jwt.at-all", "not a JWT"),
    "nine kilobytes": (lambda *_: "a" * 9000, "at most"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_lease_is_refused_and_the_one_before_counts_on(
    forgery: str, open_account: Open, server: LeaseServer, key: ApiKey
) -> None:
    account = open_account()
    account.refresh()
    kept = account.place.read_bytes()
    forge, words = FORGERIES[forgery]
    server.lease_instead = forge(server, server.claims(server.customer(key), server.machines[0]) | ENTERPRISE)
    account.refresh()
    assert words in account.report().problem
    assert (account.now().tier, account.now().features) == ("Pro", PRO)
    assert account.place.read_bytes() == kept


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_lease_is_refused_at_the_first_meeting_too(
    forgery: str, open_account: Open, server: LeaseServer, key: ApiKey
) -> None:
    server.new_key()
    forge, _ = FORGERIES[forgery]
    server.lease_instead = forge(server, server.claims(server.customer(key), "m") | ENTERPRISE)
    account = open_account()
    account.refresh()
    assert account.report().problem
    assert (account.now().tier, account.now().features, account.now().state) == ("Free", FREE_FEATURES, None)


def test_another_customers_lease_is_refused_also_when_the_answer_agrees_with_it(
    open_account: Open, server: LeaseServer, key: ApiKey
) -> None:
    account = open_account()
    account.refresh()
    server.customer(key).public_id = "cus_99"
    account.refresh()
    assert "cus_99" in account.report().problem
    assert account.now().customer_id == "cus_1"


@pytest.mark.parametrize("restarted", [False, True])
def test_old_lease_after_downgrade(restarted: bool, open_account: Open, server: LeaseServer, key: ApiKey) -> None:
    account = open_account()
    account.refresh()
    old = account.now().lease
    customer = server.customer(key)
    customer.tier, customer.features = "Free", ["console_logging"]
    account.refresh()
    if restarted:
        account.stop(10.0)
        account = open_account()
        account.refresh()
    server.lease_instead = old
    account.refresh()
    assert "older than lease" in account.report().problem
    assert (account.now().tier, account.now().features) == ("Free", FREE_FEATURES)


def test_damaging_the_kept_lease_does_not_make_an_older_one_good(open_account: Open, server: LeaseServer) -> None:
    account = open_account()
    account.refresh()
    old = account.now().lease
    account.refresh()
    account.stop(10.0)
    kept = msgspec.json.decode(account.place.read_bytes())
    account.place.write_bytes(msgspec.json.encode(kept | {"lease": "damaged"}))
    server.lease_instead = old
    account = open_account()
    account.refresh()
    assert "older than lease" in account.report().problem
    assert account.now().features == FREE_FEATURES


def test_a_key_set_larger_than_any_of_ours_is_not_kept(open_account: Open, server: LeaseServer) -> None:
    server.published += [Signer.new(f"key-{number}-{'x' * 2000}") for number in range(32)]
    account = open_account()
    account.refresh()
    assert "keys cannot be had" in account.report().problem


def test_a_new_signing_key_is_fetched_once_and_believed(open_account: Open, server: LeaseServer) -> None:
    account = open_account()
    account.refresh()
    server.rotate("second")
    account.refresh()
    account.refresh()
    assert account.report().problem == ""
    assert server.asked[KEYS] == 2
    assert '"second"' in account.now().keys


def test_an_unknown_key_is_looked_for_once_a_request(open_account: Open, server: LeaseServer) -> None:
    account = open_account()
    account.refresh()
    good = account.rounds
    server.signer = Signer.new("never published")
    account.refresh()
    assert "no Ed25519 key `never published`" in account.report().problem
    account.stop(10.0)
    assert server.asked[KEYS] == 1 + account.rounds - good  # the one was for the key that was known
    assert account.now().features == PRO


def test_a_key_that_the_server_stopped_trusting_verifies_nothing_any_more(
    open_account: Open, server: LeaseServer, key: ApiKey
) -> None:
    stolen = server.signer
    account = open_account()
    account.refresh()
    server.rotate("second", keep=False)
    account.refresh()
    server.lease_instead = stolen.sign(server.claims(server.customer(key), server.machines[0]) | ENTERPRISE)
    account.refresh()
    assert "no Ed25519 key `first`" in account.report().problem
    assert account.now().tier == "Pro"


@pytest.mark.parametrize(("status", "code"), [(503, "scripted"), (404, "scripted"), (200, "")])
def test_without_the_keys_no_lease_is_believed(status: int, code: str, open_account: Open, server: LeaseServer) -> None:
    server.fail(KEYS, status, code)
    account = open_account()
    account.refresh()
    assert "keys cannot be had" in account.report().problem
    assert account.now().features == FREE_FEATURES
    server.heal(KEYS)
    account.refresh()
    assert account.now().features == PRO


def test_a_lease_of_the_far_future_is_kept_but_allows_nothing_until_then(
    open_account: Open, server: LeaseServer
) -> None:
    server.twist = {"iat": BORN + 10_000}
    account = open_account()
    account.refresh()
    assert (account.now().state, account.now().features) == ("clock_set_back", FREE_FEATURES)
    assert "clock is 10000 s behind" in account.report().problem


def test_signed_numbers_beyond_any_calendar_do_no_harm(open_account: Open, server: LeaseServer) -> None:
    server.twist = {"grace_until": 2**62, "exp": 2**62, "refresh_after": 2**62}
    account = open_account()
    account.refresh()
    assert account.now().features == PRO
    until, due = account.report().offline_until, account.report().next_refresh_at
    assert until is not None and until.year == 9999
    assert due is not None and due.timestamp() <= BORN + 24 * 3600
