"""A plugin's token is believed only when it proves everything it must."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from km_plugin_sdk import TokenError, validate_token
from km_plugin_sdk.testing import TokenIssuer

AT = 1_800_000_000
ISSUER = TokenIssuer()
OTHER = TokenIssuer()


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


def signed(header: dict[str, Any], *, key: TokenIssuer = ISSUER) -> str:
    """A token whose header is what the test says, signed with the right key all the same."""
    claims = jwt.decode(token(), options={"verify_signature": False})
    text = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)
    )
    signature = base64.urlsafe_b64encode(key.key.sign(text.encode())).decode().rstrip("=")
    return f"{text}.{signature}"


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
        lambda: signed(GOOD_HEADER | {"jwk": json.loads(OTHER.jwks)["keys"][0]}, key=OTHER),
        "bad_signature",
    ),
    "another key": (lambda: signed(GOOD_HEADER, key=OTHER), "bad_signature"),
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
    head, body, _ = signed(GOOD_HEADER | {"alg": "none"}).split(".")
    assert refused(f"{head}.{body}.") == "wrong_algorithm"


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused() -> None:
    head, body, _ = signed(GOOD_HEADER | {"alg": "HS256"}).split(".")
    mac = hmac.new(ISSUER.jwks.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    assert refused(f"{head}.{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}") == "wrong_algorithm"


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
