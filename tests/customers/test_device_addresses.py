"""The addresses of a login by code, in both spellings: what existing clients and RFC 8628 read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from core.clock import now
from customers import accounts, api_keys, device_codes, device_views
from customers.api_keys import Issued
from customers.models import ApiKey, Customer, DeviceGrant, Member
from customers.oauth_views import GRANT_TYPE
from tests.customers.answers import Call, code

START, POLL = "/api/auth/device-code/start", "/api/auth/device-code/poll"
TOLD = {"clientId": "km 0.3", "machine": "9f2c61d0", "machineName": "ann-laptop", "os": "Linux", "unknown": 1}


@pytest.fixture
def ann(acme: Customer) -> Member:
    return accounts.add_member(acme, "ann@acme.example", "correct horse battery staple", "owner", at=now())


def approve(user_code: str, by: Member) -> None:
    device_codes.decide(device_codes.waiting(user_code, at=now()), approved=True, by=by, at=now())


def form(client: Client, path: str, **fields: str) -> tuple[int, dict[str, Any]]:
    answer = client.generic("POST", path, urlencode(fields), content_type="application/x-www-form-urlencoded")
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status_code, answer.json()


def test_existing_clients_read_camel_case(call: Call, ann: Member) -> None:
    status, codes = call("POST", START, TOLD)
    assert status == 200
    assert set(codes) == {
        "deviceCode", "userCode", "verificationUri", "verificationUriComplete", "expiresIn", "interval"
    }  # fmt: skip
    assert codes["verificationUriComplete"] == f"{codes['verificationUri']}?user_code={codes['userCode']}"
    assert (codes["expiresIn"], codes["interval"]) == (600, 5)
    asked = {"deviceCode": codes["deviceCode"]}
    assert call("POST", POLL, asked) == (400, {"error": "authorization_pending", "interval": 5})
    assert call("POST", POLL, asked) == (400, {"error": "slow_down", "interval": 10})
    DeviceGrant.objects.update(polled_at=None)
    approve(codes["userCode"], ann)
    status, answer = call("POST", POLL, asked)
    token = answer["token"]
    assert (status, token["tokenType"]) == (200, "Bearer")
    assert token["accessTokenExpiresAt"].startswith(str(now().year + 1))
    assert call("GET", "/api/customer", key=token["accessToken"])[1]["name"] == "Acme"
    assert call("POST", POLL, asked) == (400, {"error": "expired_token"})


def test_a_start_may_say_nothing(call: Call, db: None) -> None:
    assert call("POST", START)[0] == 200
    assert call("POST", START, {})[0] == 200
    assert call("POST", START, dict.fromkeys([*TOLD, "clientName", "scopes"]))[0] == 200


def test_the_rfcs_own_addresses_take_forms(client: Client, ann: Member) -> None:
    where = client.get("/.well-known/oauth-authorization-server").json()
    path = {name: "/" + where[name].split("/", 3)[3] for name in ("device_authorization_endpoint", "token_endpoint")}
    status, codes = form(
        client, path["device_authorization_endpoint"], client_id="tool", scope="events:write plugins:submit"
    )
    assert (status, codes["interval"]) == (200, 5)
    asked = {"grant_type": GRANT_TYPE, "device_code": codes["device_code"], "client_id": "tool"}
    assert form(client, path["token_endpoint"], **asked) == (400, {"error": "authorization_pending"})
    DeviceGrant.objects.update(polled_at=None)
    approve(codes["user_code"], ann)
    status, token = form(client, path["token_endpoint"], **asked)
    assert (status, token["token_type"], token["scope"]) == (200, "Bearer", "events:write plugins:submit")
    assert 364 * 86_400 < token["expires_in"] <= 365 * 86_400
    assert form(client, path["token_endpoint"], **asked) == (400, {"error": "expired_token"})


@pytest.mark.parametrize(
    ("path", "fields", "error"),
    [
        ("/oauth/device_authorization", {}, "invalid_request"),
        ("/oauth/device_authorization", {"client_id": "x", "scope": "keys:manage"}, "invalid_scope"),
        ("/oauth/token", {}, "invalid_request"),
        ("/oauth/token", {"grant_type": "password"}, "unsupported_grant_type"),
        ("/oauth/token", {"grant_type": GRANT_TYPE, "client_id": "x"}, "invalid_request"),
        ("/oauth/token", {"grant_type": GRANT_TYPE, "device_code": "nobody's"}, "invalid_request"),
        ("/oauth/token", {"grant_type": GRANT_TYPE, "device_code": "nobody's", "client_id": "x"}, "expired_token"),
    ],
)
def test_what_is_wrong_is_said_in_oauths_words(
    client: Client, db: None, path: str, fields: dict[str, str], error: str
) -> None:
    status, answer = form(client, path, **fields)
    assert (status, answer["error"]) == (400, error), answer


def test_a_code_is_of_no_use_to_a_client_that_did_not_ask_for_it(client: Client, ann: Member) -> None:
    codes = form(client, "/oauth/device_authorization", client_id="tool")[1]
    approve(codes["user_code"], ann)
    asked = {"grant_type": GRANT_TYPE, "device_code": codes["device_code"]}
    assert form(client, "/oauth/token", **asked, client_id="another") == (400, {"error": "invalid_grant"})
    assert form(client, "/oauth/token", **asked, client_id="tool")[0] == 200
    assert ApiKey.objects.count() == 1


def test_a_field_that_is_there_twice_is_no_field(client: Client, db: None) -> None:
    kind = "application/x-www-form-urlencoded"
    for path in ("/oauth/device_authorization", "/oauth/token"):
        answer = client.generic("POST", path, "client_id=tool&client_id=other", content_type=kind)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_body_too_large_is_told_so_in_each_spelling(call: Call, client: Client, db: None) -> None:
    huge = "x" * 3_000_000
    for path in (START, POLL):
        assert code(call("POST", path, {"deviceCode": huge})) == (413, "payload_too_large")
    many = {f"f{number}": "1" for number in range(2_000)}
    for path in ("/oauth/device_authorization", "/oauth/token"):
        for fields in ({"client_id": huge}, many):
            status, told = form(client, path, **fields)
            assert (status, told["error"]) == (413, "invalid_request")
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]) == (405, "invalid_request")


def test_a_confirmed_machine_that_gets_no_room_is_told_by_a_word(
    call: Call, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = call("POST", START, TOLD)[1]
    approve(codes["userCode"], ann)
    monkeypatch.setattr(api_keys, "MAX_LIVE_KEYS", 0)
    status, told = call("POST", POLL, {"deviceCode": codes["deviceCode"]})
    assert (status, told["error"]) == (400, "access_denied")
    assert "Acme has 0 keys in use" in told["error_description"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"deviceCode": 1}', b'{"deviceCode": "' + b"x" * 300 + b'"}'])
def test_a_poll_that_is_none_is_an_error_of_the_usual_shape(call: Call, db: None, body: bytes) -> None:
    assert call("POST", POLL, body)[0] == 400
    assert set(call("POST", POLL, body)[1]["error"]) == {"code", "message", "hint"}


def test_guessing_device_codes_is_limited_by_address(
    call: Call, db: None, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    monkeypatch.setattr(device_views, "UNKNOWN_CODES", type(device_views.UNKNOWN_CODES)("t", 2, device_codes.GOOD_FOR))
    for _ in range(2):
        assert call("POST", POLL, {"deviceCode": "guess"}) == (400, {"error": "expired_token"})
    answer = client.post(POLL, json.dumps({"deviceCode": "guess"}), content_type="application/json")
    assert answer.status_code == 429 and answer.json()["error"] == "slow_down"
    assert int(answer.headers["Retry-After"]) == answer.json()["interval"] > 0
    status, told = form(client, "/oauth/token", grant_type=GRANT_TYPE, device_code="guess", client_id="x")
    assert (status, told["error"]) == (429, "slow_down")


def test_starting_is_limited_by_address(call: Call, client: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_views, "STARTS", replace(device_views.STARTS, failures=2))
    assert [call("POST", START)[0] for _ in range(3)] == [200, 200, 429]
    assert DeviceGrant.objects.count() == 2
    assert "2 logins begun in 15 minutes" in call("POST", START)[1]["error"]["message"]
    assert form(client, "/oauth/device_authorization", client_id="x")[0] == 429


def test_a_network_of_ipv6_is_one_caller(client: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_views, "STARTS", replace(device_views.STARTS, failures=2))
    addresses = ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:0:9::3", "2001:db8:0:1::1", "::ffff:192.0.2.1")
    assert [client.generic("POST", START, REMOTE_ADDR=each).status_code for each in addresses] == [
        200,
        200,
        429,
        200,
        200,
    ]
    assert DeviceGrant.objects.latest("id").address == "::ffff:192.0.2.1"  # a person is shown what it came from


@pytest.mark.django_db(transaction=True)
def test_logging_out_revokes_the_key_of_a_login(call: Call, acme: Customer, ann: Member) -> None:
    codes = call("POST", START, TOLD)[1]
    approve(codes["userCode"], ann)
    key = call("POST", POLL, {"deviceCode": codes["deviceCode"]})[1]["token"]["accessToken"]
    assert call("POST", "/api/auth/logout", key=key) == (200, {"revoked": True, "success": True})
    assert code(call("GET", "/api/customer", key=key)) == (401, "revoked_api_key")


def test_logging_out_spares_a_key_issued_by_hand(call: Call, laptop: Issued) -> None:
    assert call("POST", "/api/auth/logout", key=laptop.secret) == (200, {"revoked": False, "success": True})
    assert ApiKey.objects.get().revoked_at is None
