"""The API's description: complete for this room, valid, without a warning, and true to the structs."""

from __future__ import annotations

from typing import Any

import pytest

from customers import urls
from tests.customers.answers import Call, code
from tests.customers.api_description import describe

LOGIN_BY_CODE = {
    "device_code_start",
    "device_code_poll",
    "oauth_device_authorization",
    "oauth_token",
    "oauth_metadata",
}
OAUTH_REFUSALS = {"ErrorAnswer", "PollRefusal", "OAuthRefusal"}  # RFC 6749 §5.2 gives theirs


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return describe(urls)


def test_every_address_is_described(described: dict[str, Any]) -> None:
    expected = {"/" + str(each.pattern).replace("<str:key_id>", "{key_id}") for each in urls.urlpatterns}
    assert set(described["paths"]) == expected


def test_every_operation_says_what_it_is_and_who_may_call_it(described: dict[str, Any]) -> None:
    public = {"exchange", "key_set", "keys_report_leak", *LOGIN_BY_CODE}
    for operations in described["paths"].values():
        for operation in operations.values():
            assert operation["description"]
            guarded = "bearer" in operation.get("security", [{}])[0]
            assert guarded == (operation["operationId"] not in public)


def test_every_refusal_has_the_one_shape(described: dict[str, Any]) -> None:
    for operations in described["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    schema = response["content"]["application/json"]["schema"]
                    oauth = operation["operationId"] in LOGIN_BY_CODE and status in {"400", "429"}
                    names = OAUTH_REFUSALS if oauth else {"ErrorAnswer"}
                    assert schema["$ref"].removeprefix("#/components/schemas/") in names


def test_a_closed_request_and_its_moments_are_described_as_they_are_decoded(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    assert schemas["IssueRequest"]["additionalProperties"] is False
    assert schemas["IssueRequest"]["required"] == ["name"]
    assert {"type": "string", "format": "date-time"} in schemas["IssueRequest"]["properties"]["expires_at"]["anyOf"]
    assert schemas["StatusEnum"]["enum"]


def test_an_unknown_method_is_answered_in_the_one_shape(db: None, call: Call) -> None:
    assert code(call("PUT", "/api/auth/exchange")) == (405, "method_not_allowed")
