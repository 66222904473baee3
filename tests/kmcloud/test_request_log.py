"""One line for every request, under its ids, with the route in place of the address, and never a secret in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from core.clock import now
from customers import accounts, api_keys, proofs
from customers.api_keys import Issued
from kmcloud import logs

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"

Read = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Read]:
    """Everything that is logged from here on, DEBUG included, as production writes it."""
    config = logs.configure(level="DEBUG", as_json=True)["formatters"]["line"]
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(config.pop("()")(**config))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.fixture
def key(db: None) -> Issued:
    """Acme's key."""
    proofs.forget_all()
    return api_keys.issue(accounts.create_customer("Acme", "pro", at=now()), "laptop", at=now())


def client(**kwargs: Any) -> Client:
    return Client(SERVER_NAME="localhost", raise_request_exception=False, **kwargs)


def of_requests(read: Read) -> list[dict[str, Any]]:
    return [line for line in read() if line["event"] == "request"]


def test_a_request_is_one_line_with_its_ids_and_its_customer(key: Issued, lines: Read) -> None:
    headers = {"Authorization": f"Bearer {key.secret}", "X-Request-ID": "checkout-7", "traceparent": TRACEPARENT}
    answer = client().get("/api/activity?tool=git_log", headers=headers)
    (line,) = of_requests(lines)
    assert answer["X-Request-ID"] == line["request_id"] == "checkout-7"
    assert line["trace_id"] == TRACE
    assert (line["method"], line["route"], line["status"], line["level"]) == ("GET", "api/activity", 200, "info")
    assert (line["customer_id"], line["key_id"]) == (key.key.customer.public_id, key.key.public_id)
    assert line["duration_ms"] > 0
    assert "git_log" not in json.dumps(line)


def test_an_id_of_another_form_is_replaced_and_returned(key: Issued, lines: Read) -> None:
    answer = client().get("/api/activity", headers={"X-Request-ID": "two words"})
    assert answer.status_code == 401
    (line,) = of_requests(lines)
    assert answer["X-Request-ID"] == line["request_id"] != "two words"


def test_a_person_is_named_by_number(db: None, lines: Read) -> None:
    user = User.objects.create_superuser("root", "root@example.org", "a long enough password")
    signed_in = client()
    signed_in.force_login(user)
    assert signed_in.get("/admin/").status_code == 200
    line = of_requests(lines)[-1]
    assert line["user_id"] == str(user.pk)
    assert "root@example.org" not in json.dumps(lines())


def test_events_are_logged_at_debug_and_carry_their_ids_all_the_same(key: Issued, lines: Read) -> None:
    headers = {"Authorization": f"Bearer {key.secret}", "X-Request-ID": "batch-1"}
    answer = client().post("/api/events", b'{"events": []}', content_type="application/json", headers=headers)
    assert (answer.status_code, answer["X-Request-ID"]) == (200, "batch-1")
    (line,) = of_requests(lines)
    assert (line["route"], line["level"], line["customer_id"]) == (
        "api/events",
        "debug",
        key.key.customer.public_id,
    )


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_probes_are_logged_at_debug(db: None, lines: Read, path: str) -> None:
    client().get(path)
    assert [line["level"] for line in of_requests(lines)] == ["debug"]


def test_a_fault_of_ours_is_an_error_and_its_traceback_has_the_same_ids(
    key: Issued, lines: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"with {key.secret} in its words")

    monkeypatch.setattr("events.views.queries.recent_events", fail)
    headers = {"Authorization": f"Bearer {key.secret}", "X-Request-ID": "broken-1"}
    assert client().get("/api/activity", headers=headers).status_code == 500
    about = [line for line in lines() if line.get("request_id") == "broken-1"]
    assert {line["event"] for line in about} >= {"request", "Internal Server Error: /api/activity"}
    assert [line["level"] for line in about if line["event"] == "request"] == ["error"]
    assert any("RuntimeError" in line.get("exception", "") for line in about)
    assert key.secret[12:] not in json.dumps(lines())


def test_no_line_holds_a_key_wherever_a_caller_puts_it(key: Issued, lines: Read) -> None:
    """In the header, the query, the path, the body, the request id and the agent's name, well formed and broken."""
    secret = key.secret
    bearer = {"Authorization": f"Bearer {secret}"}
    json_type: dict[str, Any] = {"content_type": "application/json"}
    ask = client()
    ask.get(f"/api/activity?key={secret}", headers=bearer | {"User-Agent": secret})
    ask.get(f"/api/{secret}/nowhere", headers=bearer)
    ask.get("/api/activity", headers={"Authorization": f"Basic {secret}"})
    ask.get("/api/activity", headers=bearer | {"X-Request-ID": secret, "traceparent": secret})
    ask.post("/api/auth/exchange", json.dumps({"ApiKey": secret}), **json_type)
    ask.post("/api/auth/exchange", json.dumps({"ApiKey": secret[:-1]}), **json_type)
    ask.post("/api/events", json.dumps({"events": [{"id": secret}]}), headers=bearer, **json_type)
    ask.post("/api/events", f'{{"events": {secret}}}', headers=bearer, **json_type)
    ask.get("/api/activity", headers={"Authorization": "Bearer wrong", "Cookie": f"sessionid={secret}"})
    assert len(of_requests(lines)) == 9
    text = json.dumps(lines())
    assert secret[12:] not in text
    assert secret[12:-1] not in text


def test_people_read_text_and_machines_read_json() -> None:
    for as_json in (True, False):
        config = logs.configure(level="INFO", as_json=as_json)["formatters"]["line"]
        formatter = config.pop("()")(**config)
        line = formatter.format(logging.LogRecord("a.library", logging.INFO, "", 0, "hello %s", ("you",), None))
        assert "hello you" in line
        assert line.startswith("{") is as_json
    logs.configure(level=settings.LOG_LEVEL, as_json=settings.LOG_JSON)
