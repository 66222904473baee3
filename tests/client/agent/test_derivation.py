"""The same records give the same events, wherever reading was interrupted; gaps and ends are told."""

from __future__ import annotations

import json
import random

import msgspec
import pytest
from km_client.agent import reading
from km_client.agent.derivation import ALWAYS, Derivation, Identity
from km_client.agent.handshake import Handshake
from km_client.agent.position import Position, decode, encode
from km_client.agent.redaction import RedactionRules, Redactor
from km_client.capture import cap
from km_client.capture.journal import encode_gap, segment_name
from km_client.capture.losses import Loss
from km_protocol.envelope import Event, Party

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import Recorded, answer, call

IDENTITY = Identity("run-1", "session-1")
REDACTOR = Redactor(RedactionRules())


def start() -> Position:
    return Position(Handshake(Party("git")))


def derive(session: Recorded, position: Position | None = None) -> tuple[list[Event], Derivation]:
    """Every event from `position` on."""
    derivation = Derivation.resume(session.spool, IDENTITY, position or start(), REDACTOR)
    events: list[Event] = []
    over, is_all = session.spool.is_over(), False
    while not is_all:
        some, is_all, _ = reading.read(session.spool, derivation, until=None, over=over, now_ns=ALWAYS)
        events += some
    if over:
        events += derivation.finish(session.spool.status())
    return events, derivation


def messages(events: list[Event]) -> list[bytes]:
    return [bytes(event.message) for event in events]


def test_requests_and_responses_come_in_the_order_they_were_read(record: Record) -> None:
    session = record()
    session.request(call(1))
    session.response(answer(1))
    session.request(call(2))
    session.end()
    events, _ = derive(session)
    assert messages(events) == [call(1).strip(), answer(1).strip(), call(2).strip()]
    assert [event.sequence for event in events] == [0, 1, 2]
    assert [event.direction for event in events] == ["request", "response", "request"]
    assert events[1].correlation_id == events[0].id
    assert events[1].duration_ms == 1.0


def test_a_message_in_many_chunks_has_the_moment_of_its_last(record: Record) -> None:
    session = record()
    for byte in call(1):
        session.request(bytes([byte]))
    session.response(answer(1))
    session.end()
    events, _ = derive(session)
    assert messages(events) == [call(1).strip(), answer(1).strip()]
    assert events[1].duration_ms == 1.0


def test_reading_goes_on_exactly_wherever_it_was_interrupted(record: Record) -> None:
    session = record(segment_bytes=400)
    dice = random.Random(7)
    for _ in range(40):
        lines = [call(dice.randrange(5), text="x" * dice.randrange(80)), answer(dice.randrange(5)), b"garbage\n", b"\n"]
        lines += [b"[" + call(1).strip() + b"," + answer("1").strip() + b"]\n", b"\xff\n"]
        stream = b"".join(dice.choices(lines, k=2))
        while stream:
            size = dice.randrange(1, 60)
            (session.request if dice.random() < 0.5 else session.response)(stream[:size])
            stream = stream[size:]
    session.end()
    whole, derivation = derive(session)
    expected = [msgspec.json.encode(event) for event in whole]
    records = list(session.spool.records({}, over=True, now_ns=ALWAYS))
    assert len(records) > 100
    for stop in range(0, len(records), 7):
        first = Derivation.resume(session.spool, IDENTITY, start(), REDACTOR)
        events = [event for one in records[:stop] for event in first.take(one)]
        rest, last = derive(session, decode(encode(first.position)))
        assert [msgspec.json.encode(event) for event in events + rest] == expected
        assert encode(last.position) == encode(derivation.position)


def test_what_is_still_needed_is_the_segment_where_an_unfinished_message_began(record: Record) -> None:
    session = record(segment_bytes=200)
    session.request(call(1))
    session.request(b'{"jsonrpc":"2.0","id":2,')
    for _ in range(20):
        session.request(b" " * 50)
    _, derivation = derive(session)
    needed = derivation.position.needed["request"]
    assert needed < derivation.position.marks["request"]
    session.spool.acknowledge("request", needed)
    session.request(b'"method":"ping"}\n')
    events, _ = derive(session, decode(encode(derivation.position)))
    assert [event.method for event in events] == ["ping"]


def test_the_last_line_of_a_server_that_died_without_a_line_feed_is_an_event(record: Record) -> None:
    session = record()
    session.request(call(1))
    session.response(b'{"jsonrpc":"2.0","id":1,"result":{}}')
    session.die()
    events, derivation = derive(session)
    assert [event.type for event in events] == ["request", "response"]
    assert derivation.position.finished


def test_a_gap_ends_the_line_it_cuts_and_is_told_where_it_was(record: Record) -> None:
    session = record()
    session.request(call(1))
    session.request(b'{"jsonrpc":"2.0","id":2,"meth')
    gap = encode_gap((Loss("disk_full", 3, 900), Loss("io_error", 1, 10)), session.now_ns, 1_800_000_000_000_000_000)
    with (session.path / segment_name("request", 1)).open("ab") as segment:
        segment.write(gap)
    session.request(b'od":"x"}\n' + call(3))
    session.end()
    events, _ = derive(session)
    assert [event.method for event in events] == [
        "tools/call",
        None,  # the beginning of request 2
        "kilometers/recording_gap",
        "kilometers/recording_gap",
        None,  # its end
        "tools/call",
    ]
    assert events[1].truncated and not events[1].is_error
    assert json.loads(bytes(events[2].message)) == {"reason": "disk_full", "records": 3, "bytes": 900}


def test_a_torn_tail_is_told_as_a_gap(record: Record) -> None:
    session = record()
    session.response(answer(1))
    session.response(answer(2))
    path = session.path / segment_name("response", 1)
    path.write_bytes(path.read_bytes()[:-10])
    session.die()
    events, _ = derive(session)
    assert [event.method or event.type for event in events] == ["response", "kilometers/recording_gap"]
    assert json.loads(bytes(events[1].message))["reason"] == "torn"


def test_losses_that_no_record_tells_are_told_at_the_end(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    session = record()
    session.request(call(1))

    def no_space(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("km_client.capture.journal.os.write", no_space)
        session.request(call(2))
        session.request(call(3))
    session.end()
    events, _ = derive(session)
    lost = json.loads(bytes(events[-1].message))
    assert lost == {"reason": "disk_full", "records": 2, "bytes": len(call(2)) + len(call(3))}


def test_losses_are_told_once(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    session = record()

    def no_space(*_: object) -> int:
        raise OSError(28, "No space left on device")

    session.request(call(1))
    with monkeypatch.context() as patch:
        patch.setattr("km_client.capture.journal.os.write", no_space)
        session.request(call(2))
    session.request(call(3), at_ns=session.now_ns + 2_000_000_000)
    session.end()
    events, _ = derive(session)
    assert [event.method for event in events].count("kilometers/recording_gap") == 1


def test_segments_given_up_at_the_cap_are_told_and_no_number_is_used_twice(record: Record) -> None:
    session = record(segment_bytes=300)
    for number in range(40):
        session.request(call(number))
    before, _ = derive(session)
    cap.enforce(session.path.parent, 2_000)
    session.end()
    after, _ = derive(session)
    told = [json.loads(bytes(event.message)) for event in after if event.method == "kilometers/recording_gap"]
    assert told[0]["reason"] == "capped"
    kept = [event for event in after if event.method == "tools/call"]
    assert len(kept) + sum(gap["records"] for gap in told) == 40
    assert min(event.sequence or 0 for event in kept) > 40
    assert {event.id for event in before}.isdisjoint(event.id for event in after)


def test_secrets_are_gone_from_messages_and_from_what_is_told_about_them(record: Record) -> None:
    session = record()
    session.request(call(1, tool="ghp_" + "a1B2" * 9, text="password=hunter2"))
    session.end()
    events, derivation = derive(session)
    encoded = msgspec.json.encode(events[0])
    assert b"hunter2" not in encoded and b"ghp_" not in encoded
    assert events[0].tool == "[redacted:github_token]"
    assert derivation.redactions == {"github_token": 1, "password": 1}


def test_an_answer_does_not_tell_the_secret_in_its_requests_name(record: Record) -> None:
    """It has none of its own, but bears its request's method and tool."""
    session = record()
    secret = "ghp_" + "a1B2" * 9
    session.request(call(1, tool=secret))
    session.response(answer(1))
    session.request(json.dumps({"jsonrpc": "2.0", "id": 2, "method": f"x/{secret}"}).encode() + b"\n")
    session.response(answer(2))
    session.end()
    events, _ = derive(session)
    assert secret.encode() not in msgspec.json.encode(events)
    assert [events[1].tool, events[3].method] == ["[redacted:github_token]", "x/[redacted:github_token]"]


def test_half_a_secret_at_the_end_of_what_was_recorded_is_gone(record: Record) -> None:
    session = record()
    session.request(b'{"id":1,"method":"x","params":{"key":"see ghp_' + b"a1B2" * 3)
    with (session.path / segment_name("request", 1)).open("ab") as segment:
        segment.write(encode_gap((Loss("disk_full", 1, 900),), session.now_ns, 1_800_000_000_000_000_000))
    session.end()
    events, derivation = derive(session)
    assert b"a1B2" not in msgspec.json.encode(events)
    assert json.loads(bytes(events[0].message)).endswith('{"key":"see [redacted:cut_end]')
    assert derivation.redactions == {"cut_end": 1}
