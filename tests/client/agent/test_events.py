"""Every event is one that the server takes, and says the same whenever it is derived."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from km_client.agent.correlation import Relation
from km_client.agent.events import Place, Scene, as_it_travels, event_id, fit, gap_event, message_event, shortened
from km_client.agent.understanding import Message, understand
from km_client.capture.losses import Loss
from km_protocol.envelope import (
    MAX_MESSAGE_BYTES,
    Event,
    Party,
    check_timestamp,
    decode_events,
    message_text,
    stored_id,
)

NOW = datetime(2026, 11, 22, 15, 40, 0, 123456, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 1_000_000_000 + 123_456_000
SCENE = Scene("session-1", Party("git"), None)


def place(unix_ns: int = NOW_NS) -> Place:
    return Place("request", 3, unix_ns, event_id("run-1", 3, unix_ns))


def built(message: Message, *, size: int | None = None, is_cut: bool = False) -> Event:
    return message_event(
        SCENE, message, Relation(), at=place(), size=len(message.content) if size is None else size, is_cut=is_cut
    )


def as_the_server_sees(event: Event) -> Event:
    """Through a batch and back, judged as a server judges."""
    (seen,) = decode_events(b'{"events":[' + msgspec.json.encode(event) + b"]}")
    assert isinstance(seen, Event), seen
    message_text(seen)
    check_timestamp(seen.timestamp, now=NOW)
    return seen


def test_an_event_says_what_the_message_was() -> None:
    line = b'{"jsonrpc":"2.0", "id":1,"method":"tools/call","params":{"name":"git_log"}}'
    (message,) = understand(line)
    relation = Relation("corr", "tools/call", "git_log", 1.5, False)
    event = as_the_server_sees(message_event(SCENE, message, relation, at=place(), size=len(line)))
    assert bytes(event.message) == line
    assert (event.timestamp, event.sequence, event.size) == (NOW, 3, len(line))
    assert (event.method, event.tool, event.correlation_id, event.duration_ms) == ("tools/call", "git_log", "corr", 1.5)


def test_the_server_keeps_our_ids_and_they_follow_from_run_and_sequence() -> None:
    event = as_the_server_sees(built(Message(b"{}", "notification")))
    assert stored_id(1, event.id, event.timestamp) == UUID(event.id)
    assert event.id == event_id("run-1", 3, NOW_NS)
    assert len({event_id(run, number, NOW_NS) for run in ("run-1", "run-2", "run-12") for number in (1, 2, 21)}) == 9


def test_a_message_over_the_limit_travels_as_its_first_bytes() -> None:
    long = b'{"id":1,"result":"' + b'\\"' * (MAX_MESSAGE_BYTES // 2) + b'"}'
    (message,) = understand(long)
    event = as_the_server_sees(built(message))
    assert (event.truncated, event.message_encoding, event.size) == (True, "text", len(long))
    assert long.decode().startswith(msgspec.json.decode(event.message, type=str))


@pytest.mark.parametrize(
    ("content", "encoding", "kept"),
    [
        (b"x" * 1000, "text", None),
        ("é" * 1000, "text", None),
        (b"\xff" * 1000, "base64", base64.b64encode(b"\xff" * 100).decode()),
        (b"a\0b" * 1000, "text", base64.b64encode((b"a\0b" * 34)[:100]).decode()),
    ],
)
def test_text_and_base64_are_cut_to_the_limit(content: bytes | str, encoding: str, kept: str | None) -> None:
    data = content.encode() if isinstance(content, str) else content
    body, left, truncated = fit(data, encoding, 100)  # type: ignore[arg-type]
    assert truncated
    text = json.loads(bytes(body))
    if left == "base64":
        assert text == kept
    else:
        assert 90 <= len(body) <= 100 and data.decode().startswith(text)


def test_a_cut_line_says_so_and_keeps_its_size() -> None:
    event = as_the_server_sees(built(Message(b'{"id":', "notification", "text"), size=5000, is_cut=True))
    assert (event.truncated, event.size) == (True, 5000)


def test_shortening_keeps_everything_but_the_end_of_the_message() -> None:
    for content, encoding in (
        (b'{"a":"' + b"x" * 5000 + b'"}', "json"),
        (b"y" * 5000, "text"),
        (b"\xfe" * 5000, "base64"),
    ):
        event = built(Message(content, "notification", encoding))  # type: ignore[arg-type]
        short = msgspec.json.decode(shortened(msgspec.json.encode(event), 1000), type=Event)
        as_the_server_sees(short)
        assert short.truncated and len(short.message) < 1500
        assert (short.id, short.size, short.sequence) == (event.id, event.size, event.sequence)


def test_an_event_that_is_short_enough_is_left_as_it_is() -> None:
    encoded = msgspec.json.encode(built(Message(b'{"a":1}', "notification")))
    assert shortened(encoded, 1000) is encoded


def test_redaction_that_breaks_json_makes_it_text() -> None:
    message = Message(b'{"a":"b"}', "notification")
    assert as_it_travels(message, b'{"a":[redacted:own]"}').encoding == "text"
    assert as_it_travels(message, b'{"a":"[redacted:own]"}').encoding == "json"


def test_a_gap_is_an_event_of_its_own() -> None:
    event = as_the_server_sees(gap_event(SCENE, place(), Loss("disk_full", 12, 7200)))
    assert (event.type, event.direction, event.method) == ("notification", "request", "kilometers/recording_gap")
    assert json.loads(bytes(event.message)) == {"reason": "disk_full", "records": 12, "bytes": 7200}


@pytest.mark.parametrize("unix_ns", [0, 1, 2**63, 2**64 - 1])
def test_a_clock_that_is_wrong_makes_an_event_all_the_same(unix_ns: int) -> None:
    event = message_event(SCENE, Message(b"{}", "notification"), Relation(), at=place(unix_ns), size=2)
    assert isinstance(decode_events(msgspec.json.encode(event))[0], Event)
    assert (
        abs(
            (UUID(event.id).int >> 80)
            - (event.timestamp - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        )
        <= 1
    )


def test_long_names_are_cut_to_what_travels() -> None:
    relation = Relation("c", "m" * 1000, "t" * 1000)
    event = message_event(SCENE, Message(b"{}", "request"), relation, at=place(), size=2)
    assert (len(as_the_server_sees(event).method or ""), len(event.tool or "")) == (200, 200)


@given(st.binary(max_size=120).map(lambda data: data.replace(b"\n", b"")))
def test_whatever_a_line_holds_its_events_are_taken_by_the_server(line: bytes) -> None:
    for message in understand(line):
        as_the_server_sees(built(message))
