"""An API key for a token: under each name clients use, each failure with its cause, a loop slowed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from km_protocol import api_keys as key_format

from core.clock import now
from customers import api_keys, exchange, revocation
from customers.api_keys import Issued
from customers.models import Customer
from tests.customers.answers import Call, code


@pytest.mark.parametrize("name", ["ApiKey", "api_key", "apiKey"])
def test_a_key_is_exchanged_under_each_name_clients_use(call: Call, laptop: Issued, name: str) -> None:
    status, answer = call("POST", "/api/auth/exchange", {name: laptop.secret, "client": "other fields are ignored"})
    assert status == 200
    assert set(answer) == {"jwt", "expiresIn", "expires_in"}
    assert answer["expiresIn"] == answer["expires_in"] == 3600
    assert call("GET", "/api/customer", key=answer["jwt"])[1]["name"] == "Acme"


def test_each_bad_key_has_its_code(call: Call, acme: Customer, laptop: Issued) -> None:
    expired = api_keys.issue(acme, "expired", at=now() - timedelta(days=2), expires_at=now() - timedelta(days=1))
    revoked = api_keys.issue(acme, "revoked", at=now())
    api_keys.revoke(revoked.key, at=now())
    cases = {
        "malformed_api_key": laptop.secret[:-1] + ("a" if laptop.secret[-1] != "a" else "b"),
        "unknown_api_key": key_format.compose("live", "Z" * 30),
        "expired_api_key": expired.secret,
        "revoked_api_key": revoked.secret,
    }
    for expected, secret in cases.items():
        assert code(call("POST", "/api/auth/exchange", {"ApiKey": secret})) == (401, expected)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "missing_body"),
        (b"{", "invalid_request"),
        (b"[]", "invalid_request"),
        (b'{"ApiKey": 7}', "invalid_request"),
        (b'{"ApiKey": "\xff"}', "invalid_request"),
        (b"{}", "missing_api_key"),
        (b'{"ApiKey": null}', "missing_api_key"),
    ],
)
def test_a_bad_body_is_400(db: None, call: Call, body: bytes, expected: str) -> None:
    assert code(call("POST", "/api/auth/exchange", body)) == (400, expected)


def test_a_suspended_customers_key_is_not_exchanged(call: Call, acme: Customer, laptop: Issued) -> None:
    revocation.suspend(acme, at=now())
    assert code(call("POST", "/api/auth/exchange", {"ApiKey": laptop.secret})) == (401, "customer_suspended")


def test_a_loop_with_one_bad_key_is_slowed_and_a_good_key_beside_it_is_not(call: Call, laptop: Issued) -> None:
    wrong = {"ApiKey": key_format.compose("live", "Z" * 30)}
    for _ in range(exchange.BY_KEY.failures):
        assert call("POST", "/api/auth/exchange", wrong)[0] == 401
    assert code(call("POST", "/api/auth/exchange", wrong)) == (429, "too_many_requests")
    assert call("POST", "/api/auth/exchange", {"ApiKey": laptop.secret})[0] == 200


def test_an_address_that_tries_many_keys_is_slowed(call: Call, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = exchange.BY_ADDRESS
    monkeypatch.setattr(exchange, "BY_ADDRESS", type(limit)(limit.name, failures=5, window=limit.window))
    keys = [key_format.compose("live", letter * 30) for letter in "ABCDEF"]
    answers = [call("POST", "/api/auth/exchange", {"ApiKey": key})[0] for key in keys]
    assert answers == [401] * 5 + [429]


def test_a_downed_database_is_503_and_never_401(call: Call, laptop: Issued) -> None:
    def gone(*_: object) -> None:
        raise OperationalError("connection refused")

    with connection.execute_wrapper(gone):
        for answer in (
            call("POST", "/api/auth/exchange", {"ApiKey": laptop.secret}),
            call("GET", "/api/customer", key=laptop.secret),
            call("GET", "/.well-known/jwks.json"),
        ):
            assert code(answer) == (503, "unavailable")
