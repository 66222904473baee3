"""Whether a plugin's token holds: every way it may not, each by its name, and never as an error."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import override_settings
from km_protocol.claims import MAX_TOKEN_BYTES, TOKEN_TYPE

from core.clock import now
from core.errors import Unauthenticated
from customers import api_keys, errors, leases, revocation, signing_keys, tokens
from customers.api_keys import Issued
from customers.models import ApiKey, Customer, Subscription, Tier
from customers.queries import entitlement_of
from plugins_registry import failures, validation
from tests.customers.answers import Call, code
from tests.customers.forging import Forge, forger, part
from tests.plugins_registry.conftest import Authenticate

PATH = "/api/plugins/validate"
PRO = ["api_logging", "console_logging", "risk_analysis"]


@pytest.fixture
def token(laptop: Issued, authenticate: Authenticate) -> str:
    """A good token of Acme's `api-logger`."""
    return authenticate(laptop.secret)


@pytest.fixture
def ask(call: Call, laptop: Issued) -> Callable[..., dict[str, Any]]:
    """The 200 answer to Acme's laptop."""

    def send(token: str, name: str = "api-logger", key: str = laptop.secret) -> dict[str, Any]:
        status, answer = call("POST", PATH, {"plugin_name": name, "plugin_token": token}, key)
        assert status == 200, answer
        assert set(answer) == {
            "valid", "reason", "customer_id", "subscription_active", "features_active", "next_refresh",
        }  # fmt: skip
        assert answer["valid"] == (answer["reason"] is None)
        assert answer["valid"] or answer["features_active"] == []
        return dict(answer)

    return send


Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def forge(token: str) -> Forge:
    """Signs the token's claims with the server's own key, with changed headers or claims."""
    return forger(token, now)


def test_a_good_token_is_valid_and_says_what_holds_now(ask: Ask, token: str, acme: Customer) -> None:
    answer = ask(token)
    assert (answer["valid"], answer["reason"], answer["customer_id"]) == (True, None, acme.public_id)
    assert (answer["subscription_active"], answer["features_active"]) == (True, PRO)
    left = datetime.fromisoformat(answer["next_refresh"]) - now()
    assert timedelta(minutes=4) < left <= timedelta(minutes=5)


@override_settings(LEASE_REFRESH_SECONDS=7)
def test_the_next_refresh_is_a_setting(ask: Ask, token: str) -> None:
    left = datetime.fromisoformat(ask(token)["next_refresh"]) - now()
    assert timedelta(seconds=0) < left <= timedelta(seconds=7)


def test_a_downgrade_between_mint_and_use_shows_at_once(ask: Ask, token: str) -> None:
    Subscription.objects.update(tier=Tier.objects.get(code="free"))  # by another process: nobody was told
    answer = ask(token)
    assert (answer["valid"], answer["features_active"]) == (True, ["console_logging"])
    Subscription.objects.update(state="canceled")
    answer = ask(token)
    assert (answer["valid"], answer["subscription_active"]) == (True, False)


def test_an_upgrade_after_mint_adds_nothing_to_an_old_token(ask: Ask, token: str, laptop: Issued) -> None:
    Subscription.objects.update(tier=Tier.objects.get(code="enterprise"))
    assert ask(token)["features_active"] == PRO


@pytest.mark.parametrize(
    ("state", "active"),
    [
        ("trialing", True),
        ("active", True),
        ("past_due", True),
        ("unpaid", False),
        ("paused", False),
        ("canceled", False),
    ],
)
def test_a_subscription_is_active_while_it_is_paid_for(ask: Ask, token: str, state: str, active: bool) -> None:
    Subscription.objects.update(state=state, state_since=now())
    assert ask(token)["subscription_active"] is active


def test_another_plugins_token_is_told_apart(ask: Ask, token: str) -> None:
    assert ask(token, "tool-stats")["reason"] == "wrong_plugin"


def test_another_customers_token_is_told_apart(ask: Ask, token: str, stranger: Issued, globex: Customer) -> None:
    answer = ask(token, key=stranger.secret)
    assert (answer["reason"], answer["customer_id"]) == ("wrong_customer", globex.public_id)


def test_an_expired_token_is_expired_and_only_one_that_was_right_is(forge: Forge, ask: Ask, stranger: Issued) -> None:
    then = int(now().timestamp()) - 3600
    old = forge(iat=then, exp=then + 900)
    assert ask(old)["reason"] == "expired"
    assert ask(old, "tool-stats")["reason"] == "wrong_plugin"
    assert ask(old, key=stranger.secret)["reason"] == "wrong_customer"


def test_a_token_of_the_future_is_not_valid_yet(forge: Forge, ask: Ask) -> None:
    soon = int(now().timestamp()) + 3600
    assert ask(forge(iat=soon, exp=soon + 900))["reason"] == "not_yet_valid"


def test_hs256_with_the_public_key_as_its_secret_is_refused(ask: Ask, token: str) -> None:
    """The classic confusion: the verifier's public key, which everyone has, used as an HMAC secret."""
    public = signing_keys.signer(at=now()).private_key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    kid = jwt.get_unverified_header(token)["kid"]
    for secret in (pem, public.public_bytes(Encoding.Raw, PublicFormat.Raw)):
        for header in ({"alg": "HS256", "typ": "at+jwt", "kid": kid}, {"alg": "HS256", "typ": "JWT"}):
            signed = f"{part(header)}.{token.split('.')[1]}"
            mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
            forged = f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
            assert ask(forged)["reason"] == "wrong_algorithm"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "RS256", "ES256", "eddsa"])
def test_no_other_algorithm_is_ever_tried(ask: Ask, token: str, algorithm: str) -> None:
    header = part({"alg": algorithm, "typ": "at+jwt", "kid": jwt.get_unverified_header(token)["kid"]})
    _, claims, signature = token.split(".")
    assert ask(f"{header}.{claims}.")["reason"] == "wrong_algorithm"
    assert ask(f"{header}.{claims}.{signature}")["reason"] == "wrong_algorithm"


def test_another_private_key_under_our_kid_is_a_bad_signature(ask: Ask, token: str) -> None:
    claims = jwt.decode(token, options={"verify_signature": False}) | {"tier": "Enterprise"}
    header = {"kid": jwt.get_unverified_header(token)["kid"], "typ": TOKEN_TYPE}
    forged = jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers=header)
    assert ask(forged)["reason"] == "bad_signature"


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "crit", "zip"])
def test_a_header_that_brings_its_own_key_or_rules_is_malformed(ask: Ask, forge: Forge, name: str) -> None:
    assert ask(forge({name: {"kty": "OKP"}}))["reason"] == "malformed"


def test_a_key_nobody_published_is_unknown(ask: Ask, forge: Forge) -> None:
    assert ask(forge({"kid": "km-19700101-unknown0"}))["reason"] == "unknown_key"


@pytest.mark.parametrize("kind", ["JWT", "km-lease+jwt", "AT+JWT"])
def test_a_token_of_another_type_is_told_apart(ask: Ask, forge: Forge, kind: str) -> None:
    assert ask(forge({"typ": kind}))["reason"] == "wrong_type"


def test_a_lease_is_no_plugins_token(ask: Ask, acme: Customer) -> None:
    lease = leases.issue(acme, entitlement_of(acme, at=now()), machine="", used=0, at=now())
    assert ask(lease)["reason"] == "wrong_type"


def test_a_customers_token_is_no_plugins(ask: Ask, call: Call, laptop: Issued) -> None:
    customers = call("POST", "/api/auth/exchange", {"ApiKey": laptop.secret})[1]["jwt"]
    assert ask(customers)["reason"] == "wrong_plugin"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"aud": ["km:plugin:api-logger"]}, "wrong_plugin"),
        ({"aud": "km:lease"}, "wrong_plugin"),
        ({"aud": None}, "wrong_plugin"),
        ({"aud": "km:plugin:"}, "malformed"),
        ({"aud": "km:plugin:api-logger\n"}, "malformed"),
        ({"iss": "https://evil.example"}, "malformed"),
        ({"exp": None}, "malformed"),
        ({"jti": None}, "malformed"),
        ({"ver": None}, "malformed"),
        ({"client_id": None}, "malformed"),
        ({"client_id": "key_nobody"}, "malformed"),
        ({"plugin_version": None}, "malformed"),
        ({"admin": True}, "malformed"),
        ({"customer_id": "cus_other"}, "malformed"),
        ({"customer_id": "cus_other", "sub": "cus_other"}, "wrong_customer"),
        ({"ver": 0}, "revoked"),
    ],
)
def test_claims_are_read_strictly_even_when_the_signature_is_good(
    ask: Ask, forge: Forge, changed: dict[str, Any], reason: str
) -> None:
    assert ask(forge(**changed))["reason"] == reason


@pytest.mark.parametrize(
    "text", ["", " ", "a.b.c", "....", "é.ü.ñ", "\0", "km_live_key", "x" * (MAX_TOKEN_BYTES + 1), "a" * 10**6]
)
def test_any_text_is_malformed_and_never_an_error(ask: Ask, text: str) -> None:
    assert ask(text)["reason"] == "malformed"


def revoke_tokens(acme: Customer, laptop: Issued, token: str) -> None:
    revocation.revoke_all_tokens(acme, at=now())


def revoke_one(acme: Customer, laptop: Issued, token: str) -> None:
    claims = jwt.decode(token, options={"verify_signature": False})
    revocation.revoke_token(acme, claims["jti"], expires_at=datetime.fromtimestamp(claims["exp"], UTC), at=now())


def revoke_key(acme: Customer, laptop: Issued, token: str) -> None:
    api_keys.revoke(laptop.key, at=now())


@pytest.mark.parametrize("revoke", [revoke_tokens, revoke_one, revoke_key])
def test_each_revocation_ends_it(
    call: Call, acme: Customer, laptop: Issued, token: str, revoke: Callable[[Customer, Issued, str], None]
) -> None:
    asker = api_keys.issue(acme, "asker", at=now()).secret
    revoke(acme, laptop, token)
    answer = call("POST", PATH, {"plugin_name": "api-logger", "plugin_token": token}, asker)[1]
    assert (answer["valid"], answer["reason"]) == (False, "revoked")


def test_a_key_whose_end_was_brought_forward_ends_its_tokens(ask: Ask, acme: Customer, token: str) -> None:
    asker = api_keys.issue(acme, "asker", at=now()).secret
    ApiKey.objects.filter(name="laptop").update(expires_at=now() - timedelta(seconds=1))
    assert ask(token, key=asker)["reason"] == "expired"


def test_a_suspension_elsewhere_shows_although_the_caller_is_remembered(ask: Ask, token: str) -> None:
    ask(token)
    Customer.objects.update(suspended_at=now())
    assert ask(token)["reason"] == "suspended"


def test_every_cause_has_its_own_reason() -> None:
    kinds = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.TokenInvalid)}
    assert kinds <= set(validation.REASONS)
    assert set(validation.ENDED) <= set(validation.REASONS.values())
    for kind in (*kinds, errors.TokenExpired):
        assert issubclass(kind, Unauthenticated)


@pytest.mark.parametrize("name", ["", "API-Logger", "a" * 65, "a\0"])
def test_a_name_no_plugin_may_have_is_an_error(call: Call, laptop: Issued, token: str, name: str) -> None:
    answer = call("POST", PATH, {"plugin_name": name, "plugin_token": token}, laptop.secret)
    assert code(answer) == (400, "invalid_plugin_name")


@pytest.mark.parametrize(
    "body",
    [{}, {"plugin_name": "a"}, {"plugin_name": "a", "plugin_token": None}, {"plugin_name": "a", "plugin_token": 7}],
)
def test_a_body_without_a_token_is_an_error(call: Call, laptop: Issued, body: dict[str, Any]) -> None:
    assert code(call("POST", PATH, body, laptop.secret)) == (400, "invalid_request")


def test_a_plugin_does_not_validate_itself(call: Call, token: str) -> None:
    answer = call("POST", PATH, {"plugin_name": "api-logger", "plugin_token": token}, token)
    assert code(answer) == (401, "invalid_token")
    assert code(call("POST", PATH, {"plugin_name": "api-logger", "plugin_token": token})) == (
        401,
        "missing_credentials",
    )


def test_forgeries_are_slowed_and_a_token_that_ended_is_none(
    call: Call, ask: Ask, forge: Forge, laptop: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = failures.KEYS
    monkeypatch.setattr(failures, "KEYS", type(limit)(limit.name, failures=3, window=limit.window))
    then = int(now().timestamp()) - 3600
    for _ in range(5):
        assert ask(forge(iat=then, exp=then + 900))["reason"] == "expired"
    for _ in range(3):
        assert ask("a.b.c")["reason"] == "malformed"
    answer = call("POST", PATH, {"plugin_name": "api-logger", "plugin_token": "a.b.c"}, laptop.secret)
    assert code(answer) == (429, "too_many_requests")


def test_neither_the_answer_nor_the_log_holds_any_of_the_token(
    call: Call, ask: Ask, forge: Forge, token: str, acme: Customer
) -> None:
    bad = forge(jti=None)
    with structlog.testing.capture_logs() as lines:
        answers = [ask(token), ask(bad), ask("very-secret")]
    found = [line for line in lines if line["event"] == "plugin_validated"]
    assert [(line["customer"], line["plugin"], line["reason"]) for line in found] == [
        (acme.public_id, "api-logger", None),
        (acme.public_id, "api-logger", "malformed"),
        (acme.public_id, "api-logger", "malformed"),
    ]
    assert found[0]["version"] == "1.0.0"
    told = repr((answers, lines))
    parts = (*token.split("."), *bad.split("."), "very-secret")
    assert not [text for text in parts if text in told]


def test_a_plugins_token_is_verified_as_strictly_in_this_process(token: str, acme: Customer) -> None:
    claims = tokens.verify_plugin_token(token, plugin="api-logger", customer_id=acme.public_id, at=now())
    end = datetime.fromtimestamp(claims.exp, UTC)
    for plugin, customer_id, at, refused in (
        ("api-logge", acme.public_id, now(), errors.WrongPlugin),
        ("api-logger", "cus_other", now(), errors.WrongCustomer),
        ("api-logger", acme.public_id, end + timedelta(seconds=30), errors.TokenExpired),
    ):
        with pytest.raises(refused):
            tokens.verify_plugin_token(token, plugin=plugin, customer_id=customer_id, at=at)
    tokens.verify_plugin_token(token, plugin="api-logger", customer_id=acme.public_id, at=end + timedelta(seconds=29))
