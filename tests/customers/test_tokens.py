"""Tokens: what ours say, and every forgery somebody would try, each refused by real signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.types import Options
from km_protocol.claims import MAX_TOKEN_BYTES, TOKEN_TYPE

from core.errors import Unauthenticated
from customers import api_keys, leases, signing_keys, tokens
from customers.api_keys import Issued
from customers.errors import TokenExpired, TokenInvalid
from customers.models import Customer
from customers.queries import entitlement_of
from tests.customers.forging import Forge, forger, part


def second(moment: datetime) -> int:
    return int(moment.timestamp())


@pytest.fixture
def token(issued: Issued, moment: datetime) -> str:
    """A good token of Acme's."""
    return tokens.mint(issued.key, entitlement_of(issued.key.customer, at=moment), at=moment).token


@pytest.fixture
def forge(token: str, moment: datetime) -> Forge:
    """Signs Acme's claims with the server's own key, with changed headers or claims."""
    return forger(token, lambda: moment)


def test_a_token_says_who_what_and_until_when(token: str, acme: Customer, issued: Issued, moment: datetime) -> None:
    header = jwt.get_unverified_header(token)
    assert header == {"alg": "EdDSA", "typ": "at+jwt", "kid": signing_keys.signer(at=moment).kid}
    claims = tokens.verify(token, at=moment)
    assert (claims.sub, claims.customer_id, claims.tier) == (acme.public_id, acme.public_id, "Pro")
    assert claims.features == ["api_logging", "console_logging", "risk_analysis"]
    assert (claims.iat, claims.exp) == (second(moment), second(moment) + 3600)
    assert (claims.client_id, claims.ver) == (issued.key.public_id, 1)


def test_no_claim_is_named_twice_under_an_old_name(token: str) -> None:
    assert not {"user_id", "plan"} & set(jwt.decode(token, options={"verify_signature": False}))


def test_anyone_with_the_published_keys_can_verify_it(token: str, moment: datetime) -> None:
    key_set = jwt.PyJWKSet.from_dict(signing_keys.key_set(at=moment))
    key = key_set[jwt.get_unverified_header(token)["kid"]]
    any_time: Options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience="km:api", issuer="kilometers", options=any_time)
    assert claims["tier"] == "Pro"


def test_two_tokens_of_one_moment_can_be_told_apart(issued: Issued, moment: datetime) -> None:
    entitlement = entitlement_of(issued.key.customer, at=moment)
    first, second_token = (tokens.mint(issued.key, entitlement, at=moment).token for _ in range(2))
    assert tokens.verify(first, at=moment).jti != tokens.verify(second_token, at=moment).jti


def test_a_token_does_not_outlive_its_key(acme: Customer, moment: datetime) -> None:
    short = api_keys.issue(acme, "short", at=moment, expires_at=moment + timedelta(minutes=5)).key
    assert tokens.mint(short, entitlement_of(acme, at=moment), at=moment).expires_in == 300


def test_a_plugins_token_ends_in_15_minutes_with_its_key_or_with_its_trial(acme: Customer, moment: datetime) -> None:
    def lasts(expires: int | None, ends: int | None) -> int:
        key = api_keys.issue(
            acme, "k", at=moment, expires_at=None if expires is None else moment + timedelta(seconds=expires)
        ).key
        ends_at = None if ends is None else moment + timedelta(seconds=ends)
        entitlement = replace(entitlement_of(acme, at=moment), ends_at=ends_at)
        return tokens.mint_plugin_token(key, entitlement, plugin="a", version="1.0.0", at=moment).expires_in

    assert [lasts(None, None), lasts(300, None), lasts(None, 200), lasts(300, 200)] == [900, 300, 200, 200]
    assert lasts(3600, 3600) == 900


@override_settings(TOKEN_SECONDS=600)
def test_the_lifetime_is_a_setting(issued: Issued, moment: datetime) -> None:
    assert tokens.mint(issued.key, entitlement_of(issued.key.customer, at=moment), at=moment).expires_in == 600


def test_a_token_ends_30_seconds_after_exp_and_is_not_good_30_seconds_before_iat(token: str, moment: datetime) -> None:
    end = moment + timedelta(seconds=3600)
    tokens.verify(token, at=end + timedelta(seconds=29))
    with pytest.raises(TokenExpired):
        tokens.verify(token, at=end + timedelta(seconds=30))
    tokens.verify(token, at=moment - timedelta(seconds=30))
    with pytest.raises(TokenInvalid, match="future"):
        tokens.verify(token, at=moment - timedelta(seconds=31))


def test_a_token_made_before_a_rotation_is_good_after_it(token: str, moment: datetime) -> None:
    signing_keys.rotate(at=moment)
    later = moment + signing_keys.ANNOUNCE_FOR
    assert signing_keys.signer(at=later).kid != jwt.get_unverified_header(token)["kid"]
    assert tokens.verify(token, at=later).tier == "Pro"


def refuse(token: str, moment: datetime, named: str) -> None:
    with pytest.raises(TokenInvalid) as refused:
        tokens.verify(token, at=moment)
    assert named in refused.value.message
    assert refused.value.status == 401
    assert len(token) < 20 or token not in refused.value.message


def test_hs256_with_the_public_key_as_its_secret_is_refused(token: str, moment: datetime) -> None:
    """The classic confusion: the verifier's public key, which everyone has, used as an HMAC secret."""
    signer = signing_keys.signer(at=moment)
    public_pem = signer.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    public_raw = signer.private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    for secret in (public_pem, public_raw):
        signed = f"{part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': signer.kid})}.{token.split('.')[1]}"
        mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        forged = f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
        refuse(forged, moment, "$.alg")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "HS512", "RS256", "ES256", "eddsa"])
def test_no_other_algorithm_is_ever_tried(token: str, moment: datetime, algorithm: str) -> None:
    kid = signing_keys.signer(at=moment).kid
    header = part({"alg": algorithm, "typ": "at+jwt", "kid": kid})
    _, claims, signature = token.split(".")
    refuse(f"{header}.{claims}.{signature}", moment, "$.alg")
    refuse(f"{header}.{claims}.", moment, "$.alg")


@pytest.mark.parametrize("kind", ["JWT", "km-lease+jwt", "jwt", "AT+JWT", "dpop+jwt"])
def test_a_token_of_another_type_is_refused(forge: Forge, moment: datetime, kind: str) -> None:
    refuse(forge({"typ": kind}), moment, "$.typ")


def test_a_lease_is_not_accepted_as_a_token(acme: Customer, moment: datetime) -> None:
    lease = leases.issue(acme, entitlement_of(acme, at=moment), machine="", used=0, at=moment)
    refuse(lease, moment, "$.typ")


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "crit", "zip"])
def test_a_header_that_brings_its_own_key_or_rules_is_refused(forge: Forge, moment: datetime, name: str) -> None:
    refuse(forge({name: {"kty": "OKP"}}), moment, name)


def test_a_key_this_server_does_not_publish_is_refused(forge: Forge, moment: datetime) -> None:
    refuse(forge({"kid": "km-19700101-unknown0"}), moment, "signing key")


def test_a_key_that_was_dropped_is_refused(token: str, moment: datetime) -> None:
    signing_keys.replace_compromised(at=moment)
    signing_keys.forget()
    refuse(token, moment, "signing key")


def test_another_private_key_under_our_kid_is_refused(token: str, moment: datetime) -> None:
    claims = jwt.decode(token, options={"verify_signature": False}) | {"tier": "Enterprise"}
    header = {"kid": signing_keys.signer(at=moment).kid, "typ": TOKEN_TYPE}
    forged = jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers=header)
    refuse(forged, moment, "signature")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"aud": "km:plugin:console-logger"}, "plugin_version"),
        ({"aud": "km:plugin:console-logger", "plugin_version": "1.0.0"}, "only `POST /api/events`"),
        ({"aud": "km:plugin:../etc", "plugin_version": "1.0.0"}, "$.aud"),
        ({"plugin_version": "1.0.0"}, "plugin_version"),
        ({"aud": "km:lease"}, "$.aud"),
        ({"aud": ["km:api"]}, "$.aud"),
        ({"aud": None}, "aud"),
        ({"iss": "https://evil.example"}, "$.iss"),
        ({"iss": None}, "iss"),
        ({"exp": None}, "exp"),
        ({"exp": "never"}, "$.exp"),
        ({"jti": None}, "jti"),
        ({"ver": None}, "ver"),
        ({"client_id": None}, "client_id"),
        ({"user_id": "cus_other"}, "user_id"),
        ({"customer_id": "cus_other"}, "differ"),
    ],
)
def test_claims_are_read_strictly_even_when_the_signature_is_good(
    forge: Forge, moment: datetime, changed: dict[str, Any], named: str
) -> None:
    refuse(forge(**changed), moment, named)


def test_a_token_over_8_kb_is_refused_unread(forge: Forge, moment: datetime) -> None:
    refuse(forge(features=["x" * MAX_TOKEN_BYTES]), moment, "longer")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_changed_character_survives(token: str, moment: datetime, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_. "))
    changed = token[:position] + character + token[position + 1 :]
    try:
        claims = tokens.verify(changed, at=moment)
    except Unauthenticated:
        return
    assert claims == tokens.verify(token, at=moment)  # base64's unused last bits: the same bytes, spelled otherwise


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}")))
def test_any_text_is_refused_and_never_crashes(db: None, moment: datetime, text: str) -> None:
    with pytest.raises(TokenInvalid):
        tokens.verify(text, at=moment)


def test_a_header_nested_too_deeply_is_refused(db: None, moment: datetime) -> None:
    deep = base64.urlsafe_b64encode(b'{"a":' * 1000 + b"1" + b"}" * 1000).decode().rstrip("=")
    refuse(f"{deep}.e30.AA", moment, "header")
