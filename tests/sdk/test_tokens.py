"""A plugin's token, and a lease, are believed only when they prove everything they must."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from km_plugin_sdk import TokenError, read_lease, validate_lease, validate_token
from km_plugin_sdk.testing import TokenIssuer

from tests.sdk.forged import OTHER, claims_of, jws

AT = 1_800_000_000
ISSUER = TokenIssuer()


def token(**changed: Any) -> str:
    return ISSUER.token(
        plugin_name="my-plugin",
        tier="Pro",
        features=["api_logging"],
        at=AT,
        **({"customer_id": "cus_1"} | changed),
    )


def refused(text: str, *, at: float = AT, keys: str = ISSUER.jwks) -> str:
    with pytest.raises(TokenError) as caught:
        validate_token(text, keys=keys, plugin_name="my-plugin", customer_id="cus_1", at=at)
    return caught.value.reason


def signed(header: dict[str, Any], by: str = "ours") -> str:
    """A token whose header is what the test says, signed with the right key all the same."""
    return jws(ISSUER, header, claims_of(token()), by)


GOOD_HEADER = {"alg": "EdDSA", "typ": "at+jwt", "kid": ISSUER.kid}


def test_a_valid_token_says_what_it_grants() -> None:
    claims = validate_token(token(), keys=ISSUER.jwks, plugin_name="my-plugin", customer_id="cus_1", at=AT)
    assert (claims.customer_id, claims.tier, claims.features) == ("cus_1", "Pro", ["api_logging"])
    assert claims.exp == AT + 15 * 60


def test_a_token_holds_until_its_expiry_and_the_leeway() -> None:
    assert validate_token(token(), keys=ISSUER.jwks, plugin_name="my-plugin", customer_id="cus_1", at=AT + 929).exp
    assert refused(token(), at=AT + 930) == "expired"
    assert refused(token(), at=AT - 31) == "not_yet_valid"
    assert refused(token(nbf=AT + 100)) == "not_yet_valid"


BAD_TOKENS: dict[str, tuple[Callable[[], str], str]] = {
    "another plugin": (lambda: token(aud="km:plugin:other"), "wrong_audience"),
    "the API": (lambda: token(aud="km:api"), "wrong_audience"),
    "several audiences": (lambda: token(aud=["km:plugin:my-plugin", "km:api"]), "malformed"),
    "no audience": (lambda: token(aud=None), "malformed"),
    "another customer": (lambda: token(customer_id="cus_2"), "wrong_customer"),
    "no expiry": (lambda: token(exp=None), "malformed"),
    "an expiry in words": (lambda: token(exp="soon"), "malformed"),
    "another issuer": (lambda: token(iss="evil"), "malformed"),
    "no type of ours": (lambda: signed(GOOD_HEADER | {"typ": "JWT"}), "wrong_type"),
    "a lease": (lambda: signed(GOOD_HEADER | {"typ": "km-lease+jwt"}), "wrong_type"),
    "an unknown key": (lambda: signed(GOOD_HEADER | {"kid": "unknown"}), "unknown_key"),
    "no key named": (lambda: signed({"alg": "EdDSA", "typ": "at+jwt"}), "unknown_key"),
    "critical extensions": (lambda: signed(GOOD_HEADER | {"crit": ["b64"]}), "malformed"),
    "a key of its own": (
        lambda: signed(GOOD_HEADER | {"jwk": json.loads(OTHER.jwks)["keys"][0]}, "other_key"),
        "bad_signature",
    ),
    "another customer, expired": (lambda: token(customer_id="cus_2", exp=AT - 100), "wrong_customer"),
    "another plugin, expired": (lambda: token(aud="km:plugin:other", exp=AT - 100), "wrong_audience"),
    "another key": (lambda: signed(GOOD_HEADER, "other_key"), "bad_signature"),
    "a changed signature": (lambda: token()[:-4] + "AAAA", "bad_signature"),
    "no signature": (lambda: token().rsplit(".", 1)[0] + ".", "bad_signature"),
    "nothing": (lambda: "", "malformed"),
    "three words": (lambda: "not.a.token", "malformed"),
    "nine kilobytes": (lambda: "a" * 9000, "malformed"),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_token_that_proves_less_is_refused(name: str) -> None:
    make, reason = BAD_TOKENS[name]
    assert refused(make()) == reason


def test_a_token_without_a_signature_is_refused() -> None:
    assert refused(signed(GOOD_HEADER | {"alg": "none"}, "nothing")) == "wrong_algorithm"


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused() -> None:
    assert refused(signed(GOOD_HEADER | {"alg": "HS256"}, "hs256")) == "wrong_algorithm"


@pytest.mark.parametrize(
    "keys", ["", "{}", "[]", "null", '{"keys": [1]}', '{"keys": [{"kid": "test-key", "kty": "OKP"}]}', "x"]
)
def test_keys_that_are_no_key_set_verify_nothing(keys: str) -> None:
    assert refused(token(), keys=keys) in {"bad_keys", "unknown_key"}


def test_while_keys_rotate_both_are_believed() -> None:
    new = TokenIssuer(kid="next-key")
    both = json.dumps({"keys": json.loads(ISSUER.jwks)["keys"] + json.loads(new.jwks)["keys"]})
    for issuer in (ISSUER, new):
        text = issuer.token(plugin_name="p", customer_id="c", at=AT)
        assert validate_token(text, keys=both, plugin_name="p", customer_id="c", at=AT).customer_id == "c"


def lease(**changed: Any) -> str:
    return ISSUER.lease(customer_id="cus_1", tier="Pro", features=["api_logging"], at=AT, **changed)


def lease_refused(text: str, **changed: Any) -> str:
    given: dict[str, Any] = {"keys": ISSUER.jwks, "customer_id": "cus_1", "at": AT} | changed
    with pytest.raises(TokenError) as caught:
        validate_lease(text, **given)
    return caught.value.reason


def test_a_valid_lease_says_what_it_grants() -> None:
    said = validate_lease(lease(), keys=ISSUER.jwks, customer_id="cus_1", at=AT + 604_799.9)
    assert (said.sub, said.tier, said.features, said.grace_until) == ("cus_1", "Pro", ["api_logging"], AT + 604_800)


@pytest.mark.parametrize(
    ("changed", "given", "reason"),
    [
        ({}, {"at": AT + 604_800}, "expired"),
        ({"status": "unpaid"}, {}, "suspended"),
        ({"status": "paused"}, {}, "suspended"),
        ({"status": "canceled"}, {}, "revoked"),
        ({}, {"at": AT - 301}, "not_yet_valid"),
        ({}, {"floor": AT + 301}, "clock_set_back"),
        ({"machine": "mine"}, {"machine": "another"}, "wrong_machine"),
        ({"sub": "cus_2"}, {}, "wrong_customer"),
        ({"status": "canceled", "sub": "cus_2"}, {}, "wrong_customer"),
        ({"quotas": {"n": "x" * 8200}}, {}, "malformed"),
    ],
)
def test_a_lease_that_allows_nothing_says_why(changed: dict[str, Any], given: dict[str, Any], reason: str) -> None:
    assert lease_refused(lease(**changed), **given) == reason


def test_a_genuine_lease_can_be_read_whatever_it_allows() -> None:
    text = lease(status="canceled", machine="mine")
    assert read_lease(text, keys=ISSUER.jwks).status == "canceled"
    assert read_lease(text, keys=ISSUER.jwks, customer_id="cus_1").machine == "mine"
    assert lease_refused(text, customer_id=None) == "revoked"
    with pytest.raises(TokenError, match="does not verify"):
        read_lease(jws(ISSUER, GOOD_HEADER | {"typ": "km-lease+jwt"}, claims_of(text), "other_key"), keys=ISSUER.jwks)


def test_the_machine_is_checked_by_whoever_knows_it() -> None:
    for machine in (None, "mine"):
        said = validate_lease(lease(machine="mine"), keys=ISSUER.jwks, customer_id="cus_1", at=AT, machine=machine)
        assert said.machine == "mine"


def test_a_token_and_a_lease_are_not_taken_for_each_other() -> None:
    assert lease_refused(token()) == "wrong_type"
    assert refused(lease()) == "wrong_type"
    assert lease_refused(jws(ISSUER, GOOD_HEADER | {"typ": "km-lease+jwt"}, claims_of(token()))) == "wrong_audience"
    assert refused(jws(ISSUER, GOOD_HEADER, claims_of(lease()))) == "malformed"
