"""The API's description: complete for this room, valid, without a warning, and true to the structs."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import URLPattern
from km_protocol.kmpkg.source_archive import MEDIA_TYPE

from plugins_registry import urls
from tests.customers.api_description import describe


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return describe(urls)


@pytest.fixture(scope="module")
def operations(described: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of this module's own addresses; what the directories beneath serve is described with them."""
    own = [each for each in urls.urlpatterns if isinstance(each, URLPattern)]
    paths = ["/" + str(each.pattern).replace("<str:revision_id>", "{revision_id}") for each in own]
    return [operation for path in paths for operation in described["paths"][path].values()]


def test_every_address_is_described_and_for_customers_only(operations: list[dict[str, Any]]) -> None:
    assert len(operations) >= 8
    for operation in operations:
        assert operation["description"]
        assert operation["security"] == [{"bearer": []}]


def test_every_refusal_has_the_one_shape(operations: list[dict[str, Any]]) -> None:
    for operation in operations:
        for status, response in operation["responses"].items():
            schema = response["content"]["application/json"]["schema"]
            assert int(status) in {200, 201} or schema == {"$ref": "#/components/schemas/ErrorAnswer"}


def test_a_source_is_described_as_the_bytes_it_is(described: dict[str, Any]) -> None:
    body = described["paths"]["/api/registry/submissions"]["post"]["requestBody"]["content"]
    assert body == {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}


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
