"""The API's description: complete for this room, valid, without a warning, and true to the structs."""

from __future__ import annotations

from typing import Any

import pytest

from plugins_registry import urls
from tests.customers.api_description import describe


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return describe(urls)


def test_every_address_is_described_and_for_customers_only(described: dict[str, Any]) -> None:
    assert set(described["paths"]) == {"/" + str(each.pattern) for each in urls.urlpatterns}
    for operations in described["paths"].values():
        for operation in operations.values():
            assert operation["description"]
            assert operation["security"] == [{"bearer": []}]


def test_every_refusal_has_the_one_shape(described: dict[str, Any]) -> None:
    for operations in described["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                schema = response["content"]["application/json"]["schema"]
                assert int(status) == 200 or schema == {"$ref": "#/components/schemas/ErrorAnswer"}


def test_the_fields_are_those_hosts_were_promised(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    fields = {name: set(schemas[name]["properties"]) for name in schemas}
    assert fields["AuthenticateRequest"] == {"plugin_name", "plugin_version", "plugin_signature", "customer_id"}
    assert schemas["AuthenticateRequest"]["required"] == ["plugin_name", "plugin_version"]
    assert fields["AuthenticateAnswer"] >= {"success", "token", "expires_at", "authorized_features", "rate_limits"}
    assert fields["ValidateRequest"] == {"plugin_name", "plugin_token"}
    assert fields["ValidateAnswer"] >= {
        "valid", "customer_id", "subscription_active", "features_active", "next_refresh",
    }  # fmt: skip
