"""What this server mints, the SDK in a plugin accepts, and what the server would refuse, the SDK refuses too."""

from __future__ import annotations

import json

import pytest
from km_plugin_sdk.errors import TokenError
from km_plugin_sdk.tokens import validate_token

from core.clock import now
from customers.api_keys import Issued
from customers.models import Customer
from tests.customers.answers import Call
from tests.plugins_registry.conftest import Authenticate


def test_a_plugin_accepts_its_own_token_and_no_other(
    call: Call, laptop: Issued, acme: Customer, globex: Customer, authenticate: Authenticate
) -> None:
    keys = json.dumps(call("GET", "/.well-known/jwks.json")[1])
    token, at = authenticate(laptop.secret), now().timestamp()
    claims = validate_token(token, keys=keys, plugin_name="api-logger", customer_id=acme.public_id, at=at)
    assert (claims.tier, claims.features) == ("Pro", ["api_logging", "console_logging", "risk_analysis"])
    customers = call("POST", "/api/auth/exchange", {"ApiKey": laptop.secret})[1]["jwt"]
    for shown, name, customer, moment in (
        (token, "tool-stats", acme.public_id, at),
        (token, "api-logger", globex.public_id, at),
        (token, "api-logger", acme.public_id, at + 900 + 31),
        (customers, "api-logger", acme.public_id, at),
    ):
        with pytest.raises(TokenError):
            validate_token(shown, keys=keys, plugin_name=name, customer_id=customer, at=moment)
