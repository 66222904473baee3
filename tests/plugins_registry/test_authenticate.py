"""A plugin's own token: whose it is, what it says, how long it holds, and what a host may not ask for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import msgspec
import pytest
import structlog
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from km_protocol.claims import PluginClaims

from core.clock import now
from customers import api_keys, revocation, subscriptions, usage
from customers.api_keys import Issued
from customers.models import ApiKey, Customer, Subscription, Tier
from customers.states import Action
from plugins_registry import failures
from plugins_registry.identity import MAX_SIGNATURE_CHARACTERS
from tests.customers.answers import Call, code
from tests.plugins_registry.conftest import Authenticate, asked

PATH = "/api/plugins/authenticate"
PRO = ["api_logging", "console_logging", "risk_analysis"]


def claims_of(call: Call, token: str, name: str = "api-logger") -> PluginClaims:
    """What a token says, verified as a plugin does it: with the published keys, its type and its audience."""
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["typ"]) == ("EdDSA", "at+jwt")
    key = jwt.PyJWKSet.from_dict(call("GET", "/.well-known/jwks.json")[1])[header["kid"]]
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience=f"km:plugin:{name}", issuer="kilometers")
    return msgspec.convert(claims, PluginClaims)


def moment_of(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo is not None and moment.utcoffset() == timedelta(0)
    return moment


def test_the_answer_has_the_shape_hosts_read(call: Call, laptop: Issued) -> None:
    status, answer = call("POST", PATH, asked(), laptop.secret)
    assert status == 200
    assert set(answer) == {"success", "token", "expires_at", "expires_in", "authorized_features", "rate_limits"}
    assert (answer["success"], answer["expires_in"], answer["authorized_features"]) == (True, 900, PRO)
    assert answer["rate_limits"] == {"events_per_day": 100_000, "events_left_today": 100_000}
    assert answer["expires_at"].endswith("Z")
    claims = claims_of(call, answer["token"])
    assert moment_of(answer["expires_at"]) == datetime.fromtimestamp(claims.exp, UTC)
    assert claims.exp - claims.iat == 900


def test_the_token_says_who_runs_which_plugin_and_what_it_may_use(
    call: Call, laptop: Issued, acme: Customer, authenticate: Authenticate
) -> None:
    claims = claims_of(call, authenticate(laptop.secret, "tool-stats", "2.1.0-rc.1+b7"), "tool-stats")
    assert (claims.sub, claims.customer_id, claims.client_id) == (acme.public_id, acme.public_id, laptop.key.public_id)
    assert (claims.plugin, claims.plugin_version, claims.tier) == ("tool-stats", "2.1.0-rc.1+b7", "Pro")
    assert (claims.features, claims.ver) == (PRO, 1)


def test_a_customers_token_does_as_well_as_its_key(call: Call, laptop: Issued, acme: Customer) -> None:
    customers = call("POST", "/api/auth/exchange", {"ApiKey": laptop.secret})[1]["jwt"]
    status, answer = call("POST", PATH, asked(customer_id=acme.public_id), customers)
    assert status == 200
    assert claims_of(call, answer["token"]).client_id == laptop.key.public_id


def test_two_tokens_of_one_second_can_be_told_apart(call: Call, laptop: Issued, authenticate: Authenticate) -> None:
    ids = {claims_of(call, authenticate(laptop.secret)).jti for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize("customer_id", [None, "", "its own"])
def test_the_customer_need_not_be_named(call: Call, laptop: Issued, acme: Customer, customer_id: str | None) -> None:
    named = acme.public_id if customer_id == "its own" else customer_id
    assert call("POST", PATH, asked(customer_id=named), laptop.secret)[0] == 200


@pytest.mark.parametrize("case", ["another's", "unknown", "another case", "padded"])
def test_no_token_is_made_for_another_customer(
    call: Call, laptop: Issued, acme: Customer, globex: Customer, case: str
) -> None:
    other = {
        "another's": globex.public_id,
        "unknown": "cus_nobody",
        "another case": acme.public_id.swapcase(),
        "padded": f" {acme.public_id}",
    }[case]
    status, answer = call("POST", PATH, asked(customer_id=other), laptop.secret)
    assert code((status, answer)) == (403, "customer_mismatch")
    assert acme.public_id in answer["error"]["message"] and answer["error"]["hint"]


@pytest.mark.parametrize(
    "name",
    ["", "API-Logger", "api_logger", "-a", "a-", "a--b", "a b", "a\n", "a\0", "../a", "ä", "a" * 65, "a" * 10**5],
)
def test_a_name_no_plugin_may_have_is_refused_by_name(call: Call, laptop: Issued, name: str) -> None:
    answer = call("POST", PATH, asked(plugin_name=name), laptop.secret)
    assert code(answer) == (400, "invalid_plugin_name")
    assert "`plugin_name`" in answer[1]["error"]["message"] and "my-plugin" in answer[1]["error"]["hint"]
    assert len(answer[1]["error"]["message"]) < 400


@pytest.mark.parametrize("version", ["", "1", "1.0", "v1.0.0", "1.0.0\n", "01.0.0", "latest", "1.0.0-" + "a" * 100])
def test_a_version_that_is_none_is_refused_by_name(call: Call, laptop: Issued, version: str) -> None:
    answer = call("POST", PATH, asked(plugin_version=version), laptop.secret)
    assert code(answer) == (400, "invalid_plugin_version")
    assert "`plugin_version`" in answer[1]["error"]["message"] and "1.0.0" in answer[1]["error"]["hint"]


@pytest.mark.parametrize("signature", ["a" * (MAX_SIGNATURE_CHARACTERS + 1), "a\nb", "a\0b"])
def test_a_signature_that_is_none_is_refused_by_name(call: Call, laptop: Issued, signature: str) -> None:
    answer = call("POST", PATH, asked(plugin_signature=signature), laptop.secret)
    assert code(answer) == (400, "invalid_plugin_signature")


@pytest.mark.parametrize("signature", ["", "c2lnbmVk", "a" * MAX_SIGNATURE_CHARACTERS])
def test_a_signature_changes_nothing_about_what_is_allowed(call: Call, laptop: Issued, signature: str) -> None:
    answer = call("POST", PATH, asked(plugin_signature=signature, client="0.9", os="linux"), laptop.secret)[1]
    assert answer["authorized_features"] == PRO


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "missing_body"),
        (b"{", "invalid_request"),
        (b"[]", "invalid_request"),
        (b"{}", "invalid_request"),
        (b'{"plugin_name": 7, "plugin_version": "1.0.0"}', "invalid_request"),
        (b'{"plugin_name": "a", "plugin_version": "1.0.0", "customer_id": ["cus_1"]}', "invalid_request"),
        (b'{"plugin_name": "\xff", "plugin_version": "1.0.0"}', "invalid_request"),
        (b'{"plugin_name":' + b"[" * 10_000, "invalid_request"),
    ],
)
def test_a_bad_body_is_400(call: Call, laptop: Issued, body: bytes, expected: str) -> None:
    assert code(call("POST", PATH, body, laptop.secret)) == (400, expected)


def test_without_a_good_key_there_is_no_token(call: Call, laptop: Issued, authenticate: Authenticate) -> None:
    assert code(call("POST", PATH, asked())) == (401, "missing_credentials")
    assert code(call("POST", PATH, asked(), "km_live_typo")) == (401, "malformed_api_key")
    api_keys.revoke(laptop.key, at=now())
    assert code(call("POST", PATH, asked(), laptop.secret)) == (401, "revoked_api_key")


def test_a_plugin_cannot_renew_its_own_token(call: Call, laptop: Issued, authenticate: Authenticate) -> None:
    answer = call("POST", PATH, asked(), authenticate(laptop.secret))
    assert code(answer) == (401, "invalid_token")
    assert "`api-logger`" in answer[1]["error"]["message"]


def test_a_remembered_proof_makes_no_token_for_a_key_revoked_elsewhere(
    call: Call, laptop: Issued, acme: Customer, authenticate: Authenticate
) -> None:
    authenticate(laptop.secret)
    ApiKey.objects.update(revoked_at=now())  # as another process would: this one hears nothing of it
    assert code(call("POST", PATH, asked(), laptop.secret)) == (401, "revoked_api_key")
    ApiKey.objects.update(revoked_at=None)
    Customer.objects.update(suspended_at=now())
    assert code(call("POST", PATH, asked(), laptop.secret)) == (401, "customer_suspended")


def test_a_suspended_customer_gets_none(call: Call, laptop: Issued, acme: Customer) -> None:
    revocation.suspend(acme, at=now())
    assert code(call("POST", PATH, asked(), laptop.secret)) == (401, "customer_suspended")


def test_what_is_listed_is_what_holds_at_that_moment(
    call: Call, laptop: Issued, acme: Customer, authenticate: Authenticate
) -> None:
    authenticate(laptop.secret)
    Subscription.objects.update(tier=Tier.objects.get(code="free"))  # by another process: nobody was told
    answer = call("POST", PATH, asked(), laptop.secret)[1]
    assert answer["authorized_features"] == ["console_logging"]
    assert answer["rate_limits"]["events_per_day"] == 1_000
    assert claims_of(call, answer["token"]).features == ["console_logging"]
    subscriptions.transition(acme.subscription, Action.CANCEL, at=now())
    assert call("POST", PATH, asked(), laptop.secret)[1]["authorized_features"] == ["console_logging"]


def test_the_limits_are_those_of_the_day_and_null_where_there_are_none(
    call: Call, laptop: Issued, stranger: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "_provider", lambda *_: 10**9)
    limits = call("POST", PATH, asked(), laptop.secret)[1]["rate_limits"]
    assert limits == {"events_per_day": 100_000, "events_left_today": 0}
    limits = call("POST", PATH, asked(), stranger.secret)[1]["rate_limits"]
    assert limits == {"events_per_day": None, "events_left_today": None}


def test_a_token_ends_with_its_key_or_its_trial_if_that_is_sooner(call: Call, laptop: Issued, acme: Customer) -> None:
    soon = now().replace(microsecond=0) + timedelta(minutes=5)
    short = api_keys.issue(acme, "short", at=now(), expires_at=soon)
    assert moment_of(call("POST", PATH, asked(), short.secret)[1]["expires_at"]) == soon
    Subscription.objects.update(state="trialing", trial_ends_at=soon + timedelta(minutes=1))
    answer = call("POST", PATH, asked(), laptop.secret)[1]
    assert moment_of(answer["expires_at"]) == soon + timedelta(minutes=1)
    assert answer["expires_in"] <= 360


def queries_of(call: Call, body: dict[str, Any], key: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert call("POST", PATH, body, key)[0] == 200
    return len(queries)


def test_the_number_of_queries_is_small_and_the_same_for_everyone(
    call: Call, acme: Customer, laptop: Issued, stranger: Issued
) -> None:
    for key in (laptop, stranger):
        call("POST", PATH, asked(), key.secret)
    counts = {queries_of(call, asked(plugin_name=f"plugin-{number}"), laptop.secret) for number in range(3)}
    for number in range(30):
        api_keys.issue(acme, f"k{number}", at=now())
    counts |= {queries_of(call, asked(), key.secret) for key in (laptop, stranger)}
    assert counts == {6}  # the key, the entitlement (4), today's events


def test_a_loop_of_refusals_is_slowed_and_another_key_beside_it_is_not(
    call: Call, laptop: Issued, stranger: Issued
) -> None:
    for _ in range(failures.KEYS.failures):
        assert call("POST", PATH, asked(plugin_name="NO"), laptop.secret)[0] == 400
    assert code(call("POST", PATH, asked(), laptop.secret)) == (429, "too_many_requests")
    assert call("POST", PATH, asked(), stranger.secret)[0] == 200


def test_an_address_that_tries_many_keys_is_slowed(call: Call, laptop: Issued, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = failures.STRANGERS
    monkeypatch.setattr(failures, "STRANGERS", type(limit)(limit.name, failures=5, window=limit.window))
    assert [call("POST", PATH, asked(), f"km_{number}")[0] for number in range(6)] == [401] * 5 + [429]


def test_success_costs_nothing(call: Call, laptop: Issued, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = failures.KEYS
    monkeypatch.setattr(failures, "KEYS", type(limit)(limit.name, failures=1, window=limit.window))
    assert [call("POST", PATH, asked(), laptop.secret)[0] for _ in range(5)] == [200] * 5


def test_the_log_says_who_got_a_token_for_what_and_never_the_token(call: Call, laptop: Issued, acme: Customer) -> None:
    with structlog.testing.capture_logs() as lines:
        token = call("POST", PATH, asked(plugin_signature="c2lnbmVk"), laptop.secret)[1]["token"]
        call("POST", PATH, asked(plugin_name="no\nsuch"), laptop.secret)
        call("POST", PATH, asked(), "km_live_secret")
    made, refused, unknown = [line for line in lines if line["event"].startswith("plugin_")]
    assert (made["event"], made["customer"]) == ("plugin_authenticated", acme.public_id)
    assert (made["plugin"], made["version"]) == ("api-logger", "1.0.0")
    assert (refused["event"], refused["customer"]) == ("plugin_refused", acme.public_id)
    assert (refused["code"], unknown["code"]) == ("invalid_plugin_name", "malformed_api_key")
    assert "no\\nsuch" in refused["cause"] and "\n" not in refused["cause"]
    everything = repr(lines)
    assert not [secret for secret in (*token.split("."), laptop.secret, "km_live_secret") if secret in everything]


def test_a_downed_database_is_503(call: Call, laptop: Issued) -> None:
    def gone(*_: object) -> None:
        raise OperationalError("connection refused")

    with connection.execute_wrapper(gone):
        assert code(call("POST", PATH, asked(), laptop.secret)) == (503, "unavailable")
    assert call("POST", PATH, asked(), laptop.secret)[0] == 200
