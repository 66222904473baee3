"""What a caller is told about itself: who, what, how much is left, and a lease that says it without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import msgspec
import pytest
from django.test import Client, override_settings
from km_protocol.claims import Lease, LeaseState, evaluate

from core.clock import now
from customers import leases, usage
from customers.api_keys import Issued
from customers.models import Customer, Subscription, Tier
from tests.customers.answers import Call, code


def count(monkeypatch: pytest.MonkeyPatch, events: int) -> list[int]:
    """Have `events` counted today; the list fills with whoever was asked about."""
    asked: list[int] = []

    def provider(customer_id: int, at: datetime) -> int:
        asked.append(customer_id)
        return events

    monkeypatch.setattr(usage, "_provider", provider)
    return asked


def test_without_credentials_an_answer_says_how_to_send_them(db: None, client: Client) -> None:
    for path in ("/api/customer", "/api/subscription/status", "/api/keys"):
        response = client.get(path)
        assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer realm="kilometers"')
        assert response.json()["error"]["code"] == "missing_credentials"


def test_a_customer_is_told_who_it_is(call: Call, laptop: Issued, acme: Customer) -> None:
    status, answer = call("GET", "/api/customer", key=laptop.secret)
    assert status == 200
    assert answer["customer_id"] == acme.public_id
    assert (answer["name"], answer["tier"], answer["status"]) == ("Acme", "Pro", "active")
    assert (answer["key_id"], answer["scopes"]) == (laptop.key.public_id, ["events:read", "events:write"])


def test_the_status_says_what_is_left_and_when_to_ask_again(
    call: Call, laptop: Issued, acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = count(monkeypatch, 99_999)
    status, answer = call("GET", "/api/subscription/status", key=laptop.secret)
    assert status == 200
    assert asked == [acme.pk]
    assert (answer["tier"], answer["status"], answer["premium"]) == ("Pro", "active", True)
    assert answer["features"] == ["api_logging", "console_logging", "risk_analysis"]
    quota = answer["quotas"]["events_per_day"]
    assert (quota["limit"], quota["used"], quota["remaining"]) == (100_000, 99_999, 1)
    assert datetime.fromisoformat(quota["resets_at"]).timestamp() % 86400 == 0
    assert timedelta(minutes=4) < datetime.fromisoformat(answer["next_refresh"]) - now() <= timedelta(minutes=5)


def test_a_quota_never_goes_below_nothing_and_an_unlimited_one_has_no_number(
    call: Call, laptop: Issued, acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    count(monkeypatch, 10**9)
    quota = call("GET", "/api/subscription/status", key=laptop.secret)[1]["quotas"]["events_per_day"]
    assert quota["remaining"] == 0
    Subscription.objects.filter(customer=acme).update(tier=Tier.objects.get(code="enterprise"))
    quota = call("GET", "/api/subscription/status", key=laptop.secret)[1]["quotas"]["events_per_day"]
    assert (quota["limit"], quota["remaining"]) == (None, None)


def lease_in(call: Call, answer: dict[str, Any]) -> Lease:
    """The lease, verified as a client does it: with the published key and its type."""
    token = answer["lease"]
    assert jwt.get_unverified_header(token)["typ"] == "km-lease+jwt"
    key_set = jwt.PyJWKSet.from_dict(call("GET", "/.well-known/jwks.json")[1])
    key = key_set[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience="km:lease", issuer="kilometers")
    return msgspec.convert(claims, Lease)


def test_the_lease_says_signed_what_the_status_says(call: Call, laptop: Issued, acme: Customer) -> None:
    answer = call("GET", "/api/subscription/status?machine=m1", key=laptop.secret)[1]
    lease = lease_in(call, answer)
    assert (lease.sub, lease.tier, lease.status, lease.machine) == (acme.public_id, "Pro", "active", "m1")
    assert lease.features == answer["features"]
    assert lease.quotas == {"events_per_day": 100_000, "events_left_today": 100_000}
    assert (lease.refresh_after - lease.iat, lease.exp - lease.iat) == (300, 86400)
    assert evaluate(lease, at=lease.iat, floor=0, machine="m1").state is LeaseState.VALID
    assert evaluate(lease, at=lease.iat, floor=0, machine="m2").state is LeaseState.WRONG_MACHINE


def test_how_often_to_ask_again_is_a_setting(call: Call, laptop: Issued) -> None:
    with override_settings(LEASE_REFRESH_SECONDS=7):
        answer = call("GET", "/api/subscription/status", key=laptop.secret)[1]
    lease = lease_in(call, answer)
    assert lease.refresh_after - lease.iat == 7
    assert timedelta(0) < datetime.fromisoformat(answer["next_refresh"]) - now() <= timedelta(seconds=7)
    assert lease.exp - lease.iat == 86400


def test_each_lease_is_newer_than_the_one_before(call: Call, laptop: Issued) -> None:
    seqs = [lease_in(call, call("GET", "/api/subscription/status", key=laptop.secret)[1]).seq for _ in range(3)]
    assert seqs == [1, 2, 3]


def test_the_machine_may_come_in_a_header(call: Call, laptop: Issued) -> None:
    answer = call("GET", "/api/subscription/status", key=laptop.secret, **{"X-Km-Machine": "m7"})[1]
    assert lease_in(call, answer).machine == "m7"


@pytest.mark.parametrize("machine", ["m" * (leases.MAX_MACHINE_CHARACTERS + 1), "a%00b", "a%0Ab"])
def test_a_machine_id_that_is_none_is_refused(call: Call, laptop: Issued, machine: str) -> None:
    answer = call("GET", f"/api/subscription/status?machine={machine}", key=laptop.secret)
    assert code(answer) == (400, "invalid_request")


def test_a_lease_does_not_outlive_the_trial_it_is_for(call: Call, laptop: Issued, acme: Customer) -> None:
    ends = now().replace(microsecond=0) + timedelta(hours=1)
    Subscription.objects.filter(customer=acme).update(state="trialing", trial_ends_at=ends)
    lease = lease_in(call, call("GET", "/api/subscription/status", key=laptop.secret)[1])
    assert lease.exp == lease.grace_until == int(ends.timestamp())
    assert not evaluate(lease, at=lease.grace_until, floor=0, machine="").allowed


def test_a_canceled_customer_keeps_the_free_features_and_its_lease_grants_nothing(
    call: Call, laptop: Issued, acme: Customer
) -> None:
    Subscription.objects.filter(customer=acme).update(state="canceled")
    answer = call("GET", "/api/subscription/status", key=laptop.secret)[1]
    assert (answer["tier"], answer["status"], answer["premium"]) == ("Free", "canceled", False)
    assert answer["features"] == ["console_logging"]
    lease = lease_in(call, answer)
    assert evaluate(lease, at=lease.iat, floor=0, machine="").state is LeaseState.REVOKED


def test_the_key_set_may_be_cached_for_five_minutes_by_anyone(db: None, client: Client) -> None:
    response = client.get("/.well-known/jwks.json")
    assert response["Cache-Control"] == "public, max-age=300"
    assert response.json()["keys"][0]["alg"] == "EdDSA"


def test_the_end_of_a_day_is_the_next_midnight_in_utc() -> None:
    late = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
    assert usage.day_ends(late) == datetime(2026, 11, 23, tzinfo=UTC)
    assert usage.day_ends(usage.day_ends(late)) == datetime(2026, 11, 24, tzinfo=UTC)
