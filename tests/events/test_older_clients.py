"""Clients before 1.0 and the Rust `km` work unchanged; what they leave out is worked out."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from events.models import Event, Session
from tests.events.samples import Sender, answer_of, code_of, drain_everything

REQUEST = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"git_log"}}'


def older(payload: bytes = REQUEST, **fields: Any) -> dict[str, Any]:
    return {
        "id": "9f3c0a1b2c3d4e5f60718293a4b5c6d7",
        "timestamp": "2026-11-22T15:40:00Z",
        "direction": "inbound",
        "method": "tools/call",
        "payload": base64.b64encode(payload).decode(),
        "size": len(payload),
        "riskScore": 3,
    } | fields


def older_batch(*events: Any) -> dict[str, Any]:
    return {
        "events": list(events),
        "cliVersion": "0.4.0",
        "batchTimestamp": "2026-11-22T15:40:01Z",
        "correlationId": "b",
    }


def stored(sender: Sender, event: dict[str, Any]) -> Event:
    assert answer_of(sender.post(older_batch(event), "/batch"))["accepted"] == 1
    drain_everything()
    return Event.objects.get()


def test_an_older_batch_is_stored(sender: Sender) -> None:
    event = stored(sender, older(correlationId="c1"))
    assert (event.message, event.type, event.direction, event.method, event.tool, event.size, event.correlation_id) == (
        REQUEST.decode(),
        "request",
        "request",
        "tools/call",
        "git_log",
        len(REQUEST),
        "c1",
    )


@pytest.mark.parametrize(
    ("word", "direction"),
    [("inbound", "request"), ("request", "request"), ("Outbound", "response"), ("response", "response")],
)
def test_every_word_for_a_direction_is_understood(sender: Sender, word: str, direction: str) -> None:
    assert stored(sender, older(direction=word)).direction == direction


@pytest.mark.parametrize(
    ("payload", "what", "method"),
    [
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', "response", ""),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-1}}', "error", ""),
        (b'{"jsonrpc":"2.0","method":"notifications/progress"}', "notification", "notifications/progress"),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', "request", "ping"),
        (b"garbage", "request", ""),
    ],
)
def test_what_a_message_is_is_read_from_it(sender: Sender, payload: bytes, what: str, method: str) -> None:
    event = stored(sender, older(payload, method=None))
    assert (event.type, event.method, event.message) == (what, method, payload.decode())


def test_bytes_that_are_no_text_are_kept(sender: Sender) -> None:
    event = stored(sender, older(b"\xff\0"))
    assert (base64.b64decode(event.message), event.is_base64) == (b"\xff\0", True)


def test_a_moment_without_a_zone_is_utc(sender: Sender) -> None:
    event = stored(sender, older(timestamp="2026-11-22T15:40:00.5"))
    assert event.timestamp == datetime(2026, 11, 22, 15, 40, 0, 500000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("bad", "where"),
    [
        ({"payload": "*"}, "base64"),
        ({"direction": "sideways"}, "direction"),
        ({"timestamp": "1970-01-01T00:00:00Z"}, "timestamp"),
        ({"id": "x" * 300}, "id"),
    ],
)
def test_a_bad_event_is_refused_by_index(sender: Sender, bad: dict[str, Any], where: str) -> None:
    answer = answer_of(sender.post(older_batch(older(), older() | bad), "/batch"))
    assert answer["accepted"] == 1
    assert answer["rejected"][0]["index"] == 1
    assert where in answer["rejected"][0]["message"]


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"events": 1}'])
def test_what_is_no_older_batch_is_refused(sender: Sender, body: bytes) -> None:
    assert code_of(sender.post(body, "/batch")) == (400, "invalid_body")


def test_an_older_event_alone_is_taken_at_the_new_address(sender: Sender) -> None:
    assert answer_of(sender.post(older()))["accepted"] == 1
    assert drain_everything().stored == 1


LAUNCH = {
    "event_type": "command_execution",
    "timestamp": "2026-11-22T15:40:00.123Z",
    "user_id": None,
    "user_tier": "free",
    "command": "npx",
    "args": ["-y", "server"],
    "session_id": "5a4b",
    "metadata": {"os": "linux"},
}


def test_a_launch_is_recorded_and_told_what_is_left(limited: Sender) -> None:
    answer = answer_of(limited.post(LAUNCH, "/telemetry"))
    assert answer == {"status": "ok", "message": "launch recorded", "events_remaining": 9}
    drain_everything()
    event = Event.objects.get()
    assert (event.method, event.session_id, event.type) == ("kilometers/command_execution", "5a4b", "notification")
    assert Session.objects.get().server_name == "npx"


def test_a_launch_sent_again_is_the_same_launch(limited: Sender) -> None:
    limited.post(LAUNCH, "/telemetry")
    drain_everything()
    assert answer_of(limited.post(LAUNCH, "/telemetry"))["message"] == "launch recorded before"
    assert Event.objects.count() == 1


def test_a_launch_without_a_limit_has_no_remainder(sender: Sender) -> None:
    assert answer_of(sender.post(LAUNCH, "/telemetry"))["events_remaining"] is None


def test_a_launch_over_the_quota_is_429(limited: Sender) -> None:
    for number in range(10):
        answer_of(limited.post(LAUNCH | {"session_id": str(number)}, "/telemetry"))
    assert code_of(limited.post(LAUNCH, "/telemetry")) == (429, "quota_exceeded")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"timestamp": "2026-11-22T15:40:00Z", "args": 7}'])
def test_what_is_no_launch_is_refused(sender: Sender, body: bytes) -> None:
    assert code_of(sender.post(body, "/telemetry")) == (400, "invalid_event")
