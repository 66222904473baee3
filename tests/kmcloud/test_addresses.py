"""The API's description is valid, complete and true; what does not exist answers in the API's own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from django.test import Client, override_settings
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from core.clock import now
from customers import accounts, api_keys, proofs
from events import wakeup
from kmcloud import health
from kmcloud.wsgi import application

OURS = ["/api/events", "/api/events/batch", "/api/events/telemetry", "/api/activity", "/api/stats", "/health"]


@pytest.fixture
def client() -> Client:
    return Client(SERVER_NAME="localhost", raise_request_exception=False)


def test_the_description_is_valid_and_nothing_is_guessed(db: None, tmp_path: Path) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml"))


@pytest.mark.django_db
def test_every_address_of_events_is_described_with_bodies_and_answers(client: Client) -> None:
    schema = json.loads(client.get("/api/schema", headers={"Accept": "application/json"}).content)
    for path in OURS:
        assert path in schema["paths"], path
    send = schema["paths"]["/api/events"]["post"]
    assert {"200", "400", "401", "413", "415", "429", "503"} <= set(send["responses"])
    assert "requestBody" in send
    assert {"Event", "EventBatch", "AcceptedAnswer", "ErrorAnswer"} <= set(schema["components"]["schemas"])


@pytest.mark.django_db
def test_the_docs_page_needs_no_inline_script_or_style(client: Client) -> None:
    response = client.get("/api/docs")
    page = response.content.decode()
    assert response.status_code == 200
    assert "<style" not in page
    assert "<script>" not in page
    assert "unsafe" not in response["Content-Security-Policy"]
    assert b"SwaggerUIBundle" in client.get("/api/docs?script=").content


@pytest.mark.django_db
def test_an_address_that_does_not_exist_answers_in_json_under_api(client: Client) -> None:
    answer = client.get("/api/nonsense")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert client.get("/nonsense").status_code == 404


@pytest.mark.django_db
@override_settings(MIDDLEWARE=["tests.kmcloud.test_addresses.breaks"])
def test_a_fault_of_ours_is_json_under_api_and_tells_nothing(client: Client) -> None:
    answer = client.get("/api/stats")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert b"secret" not in answer.content


def breaks(get_response: Any) -> Any:
    """A middleware with a bug."""

    def fail(request: Any) -> Any:
        raise ZeroDivisionError("a secret detail")

    return fail


CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
FUZZED = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.fixture
def api(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The described API, on the real application."""
    proofs.forget_all()
    monkeypatch.setattr(wakeup._doorbell, "press", lambda: None)
    monkeypatch.setattr(health, "check_broker", lambda: health.Check("ok", "reachable"))
    return schemathesis.openapi.from_wsgi("/api/schema", application)


@pytest.fixture
def key(api: Any) -> str:
    """A key that may send and read."""
    customer = accounts.create_customer("Acme", "enterprise", at=now())
    return api_keys.issue(customer, "fuzz", at=now()).secret


def test_every_answer_is_one_the_description_names(api: Any, key: str) -> None:
    """A bounded number of made-up requests for each address, from its own description."""
    fuzzed = []
    for found in api.include(path_regex=r"^/(api/(events|activity|stats)|health|livez|readyz)").get_all_operations():
        operation = found.ok()

        @FUZZED
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            response = case.call(headers={"Authorization": f"Bearer {key}"})
            case.validate_response(response, checks=CHECKS)

        check()
        fuzzed.append(operation.path)
    assert sorted(fuzzed) == sorted([*OURS, "/livez", "/readyz"])
