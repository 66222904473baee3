"""A plugin's token at a real service, `manage.py serve`: several processes, one of which changes the tier meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from km_protocol.envelope import unix_milliseconds, uuid7

from core.clock import now
from tests.kmcloud.serving import Serving, serving

REFRESH_SECONDS = 2


@pytest.fixture
def service(tmp_path: Path) -> Any:
    with serving(tmp_path, KM_LEASE_REFRESH_SECONDS=str(REFRESH_SECONDS)) as running:
        yield running


def post(service: Serving, path: str, bearer: str, body: dict[str, Any]) -> requests.Response:
    headers = {"Authorization": f"Bearer {bearer}"}
    return requests.post(f"{service.ready['url'].rstrip('/')}{path}", json=body, headers=headers, timeout=30)


def an_event() -> dict[str, Any]:
    moment = now()
    return {
        "id": str(uuid7(unix_milliseconds(moment), b"0123456789")),
        "timestamp": moment.isoformat(),
        "type": "notification",
        "direction": "request",
        "message": {"jsonrpc": "2.0", "method": "notifications/initialized"},
    }


def test_a_plugin_lives_through_a_tier_change_made_by_another_process(service: Serving) -> None:
    made = json.loads(
        service.manage("create_customer", "--name", "Acme", "--tier", "pro", "--email", "a@acme.example", "--json")
    )
    key, customer = made["api_key"], made["customer"]
    asked = {"plugin_name": "api-logger", "plugin_version": "1.0.0", "customer_id": customer}
    got = post(service, "/api/plugins/authenticate", key, asked).json()
    keys = requests.get(f"{service.ready['url'].rstrip('/')}/.well-known/jwks.json", timeout=30).json()
    signer = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(got["token"])["kid"]]
    claims = jwt.decode(got["token"], signer, algorithms=["EdDSA"], audience="km:plugin:api-logger")
    assert (claims["customer_id"], claims["tier"]) == (customer, "Pro")

    sent = post(service, "/api/events", got["token"], {"events": [an_event()]})
    assert (sent.status_code, sent.json()["accepted"]) == (200, 1)
    assert post(service, "/api/plugins/authenticate", got["token"], asked).status_code == 401

    service.manage("change_subscription", "--customer", customer, "--tier", "free")
    shown = {"plugin_name": "api-logger", "plugin_token": got["token"]}
    checked = post(service, "/api/plugins/validate", key, shown).json()
    assert (checked["valid"], checked["features_active"]) == (True, ["console_logging"])
    renewed = post(service, "/api/plugins/authenticate", key, asked).json()
    assert renewed["authorized_features"] == ["console_logging"]
    refused = post(service, "/api/events", renewed["token"], {"events": [an_event()]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "feature_not_available")
    assert service.ask("SELECT count(*) FROM customers_auditentry WHERE action = 'subscription.tier_changed'") == [(1,)]
