"""Keys over HTTP: issued, listed, rotated, revoked, and reported when leaked; each customer's own only."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from km_protocol import api_keys as key_format

from core.clock import now
from customers import api_keys, leaks
from customers.api_keys import Issued
from customers.models import ApiKey, AuditEntry, Customer
from tests.customers.answers import Call, code

BEYOND_BIGINT = "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk"  # base64 of a number no column holds


def test_an_owners_key_issues_one_that_works(call: Call, owner: Issued) -> None:
    status, answer = call("POST", "/api/keys", {"name": "build server", "scopes": ["events:write"]}, owner.secret)
    assert status == 201
    assert answer["key"]["scopes"] == ["events:write"]
    assert call("GET", "/api/customer", key=answer["secret"])[1]["key_id"] == answer["key"]["id"]
    entry = AuditEntry.objects.get(subject=f"api_key:{answer['key']['id']}")
    assert entry.actor == f"key:{owner.key.public_id}"


def test_a_list_shows_no_secret_and_no_hash(call: Call, owner: Issued, laptop: Issued) -> None:
    status, answer = call("GET", "/api/keys", key=owner.secret)
    assert status == 200
    assert {key["id"] for key in answer["keys"]} == {owner.key.public_id, laptop.key.public_id}
    text = json.dumps(answer)
    for issued in (owner, laptop):
        assert issued.secret not in text
        assert issued.key.digest not in text


def test_the_list_is_paged(call: Call, owner: Issued, acme: Customer) -> None:
    for number in range(4):
        api_keys.issue(acme, f"key {number}", at=now())
    seen, cursor = [], ""
    for _ in range(3):
        answer = call("GET", f"/api/keys?limit=2&cursor={cursor}", key=owner.secret)[1]
        seen += [key["name"] for key in answer["keys"]]
        cursor = answer["next"] or ""
    assert cursor == ""
    assert seen == ["key 3", "key 2", "key 1", "key 0", "owner"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=0", "invalid_limit"),
        ("cursor=nonsense", "invalid_cursor"),
        (f"cursor={BEYOND_BIGINT}", "invalid_cursor"),
    ],
)
def test_a_bad_page_is_400(call: Call, owner: Issued, query: str, expected: str) -> None:
    assert code(call("GET", f"/api/keys?{query}", key=owner.secret)) == (400, expected)


def test_a_key_is_rotated_and_both_work(call: Call, owner: Issued, laptop: Issued) -> None:
    status, answer = call("POST", f"/api/keys/{laptop.key.public_id}/rotate", key=owner.secret)
    assert status == 201
    for secret in (laptop.secret, answer["secret"]):
        assert call("GET", "/api/customer", key=secret)[0] == 200
    again = call("POST", f"/api/keys/{laptop.key.public_id}/rotate", key=owner.secret)
    assert code(again) == (409, "key_not_usable")
    listed = call("GET", "/api/keys", key=owner.secret)[1]["keys"]
    old = next(key for key in listed if key["id"] == laptop.key.public_id)
    assert old["replaced_by"] == answer["key"]["id"]


@pytest.mark.django_db(transaction=True)
def test_a_revoked_key_is_refused_at_once_with_the_tokens_made_from_it(
    call: Call, owner: Issued, laptop: Issued
) -> None:
    token = call("POST", "/api/auth/exchange", {"ApiKey": laptop.secret})[1]["jwt"]
    for credential in (laptop.secret, token):
        assert call("GET", "/api/customer", key=credential)[0] == 200
    assert call("DELETE", f"/api/keys/{laptop.key.public_id}", key=owner.secret) == (200, {"success": True})
    for credential in (laptop.secret, token):
        assert code(call("GET", "/api/customer", key=credential)) == (401, "revoked_api_key")


def test_another_customers_key_does_not_exist(call: Call, owner: Issued, globex: Customer) -> None:
    theirs = api_keys.issue(globex, "theirs", at=now()).key.public_id
    for method, path in (("DELETE", f"/api/keys/{theirs}"), ("POST", f"/api/keys/{theirs}/rotate")):
        assert code(call(method, path, key=owner.secret)) == (404, "unknown_key_id")
    assert theirs not in json.dumps(call("GET", "/api/keys", key=owner.secret)[1])
    assert ApiKey.objects.get(public_id=theirs).revoked_at is None


def test_a_laptops_key_manages_no_keys(call: Call, laptop: Issued) -> None:
    token = call("POST", "/api/auth/exchange", {"ApiKey": laptop.secret})[1]["jwt"]
    for credential in (laptop.secret, token):
        for method, path in (
            ("GET", "/api/keys"),
            ("POST", "/api/keys"),
            ("DELETE", f"/api/keys/{laptop.key.public_id}"),
            ("POST", f"/api/keys/{laptop.key.public_id}/rotate"),
        ):
            assert code(call(method, path, {"name": "x"}, credential)) == (403, "missing_scope")
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x", "colour": "red"},
        {"name": "x", "scopes": ["root"]},
        {"name": "x", "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "x", "expires_at": "2999-01-01T00:00:00"},
        {"name": 7},
    ],
)
def test_a_bad_request_for_a_key_is_400_and_makes_none(call: Call, owner: Issued, body: Any) -> None:
    assert code(call("POST", "/api/keys", body, owner.secret)) == (400, "invalid_request")
    assert ApiKey.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_reported_key_is_revoked_by_whoever_found_it(call: Call, laptop: Issued) -> None:
    assert call("GET", "/api/customer", key=laptop.secret)[0] == 200
    assert call("POST", "/api/keys/report-leak", {"key": f" {laptop.secret}\n"}) == (200, {"success": True})
    assert code(call("GET", "/api/customer", key=laptop.secret)) == (401, "revoked_api_key")
    entry = AuditEntry.objects.get(action="api_key.revoked")
    assert (entry.actor, entry.details["reason"]) == ("leak-report", "reported from 127.0.0.1")


@pytest.mark.parametrize("key", ["nonsense", "", key_format.compose("live", "Q" * 30)])
def test_the_answer_to_a_report_never_says_whether_the_key_exists(db: None, call: Call, key: str) -> None:
    assert call("POST", "/api/keys/report-leak", {"key": key}) == (200, {"success": True})


def test_reports_are_slowed(call: Call, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "REPORTS", type(leaks.REPORTS)("few", failures=2, window=timedelta(minutes=5)))
    answers = [call("POST", "/api/keys/report-leak", {"key": "x"})[0] for _ in range(3)]
    assert answers == [200, 200, 429]
