"""Bad input over real HTTP: each is refused with a code and the next step, and the service goes on serving."""

from __future__ import annotations

import functools
import gzip
import json
import socket
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import zstandard
from km_protocol import api_keys

from tests.end_to_end.service import Account, Service

MEGABYTE = 1024 * 1024


def event(**changes: object) -> dict[str, Any]:
    """A good event, but for `changes`."""
    good = {
        "id": str(uuid.uuid4()),
        "timestamp": datetime.now(UTC).isoformat(),
        "type": "request",
        "direction": "request",
        "message": {"jsonrpc": "2.0", "id": 1, "method": "ping"},
    }
    return good | changes


def post(service: Service, key: str, body: bytes, encoding: str = "") -> requests.Response:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    if encoding:
        headers["Content-Encoding"] = encoding
    return requests.post(f"{service.url}/api/events", data=body, headers=headers, timeout=60)


def batch(*events: dict[str, Any]) -> bytes:
    return json.dumps({"events": events}).encode()


@functools.cache
def zeros(compress: Callable[[bytes], bytes]) -> bytes:
    """200 MB of them, some hundred kilobytes."""
    return compress(bytes(200 * MEGABYTE))


BAD_BODIES: dict[str, tuple[Callable[[], bytes], str, int]] = {
    "half a JSON": (lambda: b'{"events": [', "", 400),
    "not UTF-8": (lambda: b'{"events": "\xff\xfe"}', "", 400),
    "nested without end": (lambda: b"[" * 100_000, "", 400),
    "nothing": (lambda: b"", "", 400),
    "not gzip at all": (lambda: b"plain", "gzip", 400),
    "a compression nobody asked for": (lambda: b"{}", "br", 415),
    "200 MB of zeros in gzip": (lambda: zeros(gzip.compress), "gzip", 413),
    "200 MB of zeros in zstd": (lambda: zeros(zstandard.compress), "zstd", 413),
    "an event of 1970": (lambda: json.dumps(event(timestamp="1970-01-01T00:00:00Z")).encode(), "", 400),
    "an event of 2100": (lambda: json.dumps(event(timestamp="2100-01-01T00:00:00Z")).encode(), "", 400),
    "bad base64": (lambda: json.dumps(event(message="%%%", message_encoding="base64")).encode(), "", 400),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_refused_with_a_code_and_a_hint(name: str, service: Service, account: Account) -> None:
    body, encoding, status = BAD_BODIES[name]
    answer = post(service, account.api_key, body(), encoding)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] and error["message"]
    assert service.is_ready()


def test_a_bomb_costs_no_more_memory_than_the_cap(service: Service, account: Account) -> None:
    before = [process.memory_info().rss for process in service.children("run_web")]
    for _ in range(5):
        post(service, account.api_key, zeros(gzip.compress), "gzip")
    after = [process.memory_info().rss for process in service.children("run_web")]
    assert sum(after) - sum(before) < 200 * MEGABYTE


def test_one_bad_event_is_refused_by_its_place_and_the_good_ones_are_kept(service: Service, account: Account) -> None:
    session_id = uuid.uuid4().hex
    good = [event(session_id=session_id, sequence=number) for number in range(3)]
    body = batch(good[0], event(timestamp="2100-01-01T00:00:00Z", id="from-the-future"), *good[1:])
    answer = post(service, account.api_key, body).json()
    assert answer["accepted"] == 3
    assert [(refused["index"], refused["id"], refused["code"]) for refused in answer["rejected"]] == [
        (1, "from-the-future", "invalid_event")
    ]
    assert len(service.wait_until_stored(session_id, 3)) == 3


def test_an_event_sent_again_and_again_is_stored_once(service: Service, account: Account) -> None:
    session_id = uuid.uuid4().hex
    body = batch(*(event(session_id=session_id, sequence=number) for number in range(10)))
    for _ in range(3):
        assert post(service, account.api_key, body).status_code == 200
    last = event(session_id=session_id, sequence=99)  # when this one is stored, so is everything before it
    post(service, account.api_key, batch(last))
    assert [stored.sequence for stored in service.wait_until_stored(session_id, 11)] == [*range(10), 99]


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("", "missing_credentials"),
        ("nonsense", None),
        ("km_live_" + "0" * 36, "malformed_api_key"),
        (str(api_keys.compose("live", "0" * api_keys.BODY_LENGTH)), "unknown_api_key"),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.", "invalid_token"),
    ],
)
def test_a_caller_who_is_nobody_is_refused_by_cause(key: str, code: str | None, service: Service) -> None:
    answer = post(service, key, batch(event()))
    assert answer.status_code == 401
    assert code in (None, answer.json()["error"]["code"])
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_client_that_stops_in_the_middle_of_a_body_blocks_nobody(service: Service, account: Account) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as half:
        half.sendall(
            b"POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
            b"Authorization: Bearer " + account.api_key.encode() + b"\r\n\r\n{"
        )
        assert post(service, account.api_key, batch(event())).status_code == 200
