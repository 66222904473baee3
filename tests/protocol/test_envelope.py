"""Events on the wire: decoded one by one when one is bad, ids that dedupe and sort, messages kept byte for byte."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from km_protocol import envelope
from km_protocol.envelope import Event, EventBatch
from km_protocol.errors import EventError

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
tails = st.binary(min_size=10, max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def an_event(**fields: Any) -> dict[str, Any]:
    return {
        "id": "e1",
        "timestamp": "2026-11-22T12:00:00.123456Z",
        "type": "request",
        "direction": "request",
        "message": {"jsonrpc": "2.0", "id": 1, "method": "ping"},
    } | fields


def body_of(*events: Any) -> bytes:
    return json.dumps({"events": list(events)}).encode()


def only(body: bytes) -> Event:
    (event,) = envelope.decode_events(body)
    assert isinstance(event, Event), event
    return event


def refusal(event: Event | EventError) -> str:
    assert isinstance(event, EventError)
    return str(event)


def test_a_lone_event_and_a_batch_of_one_are_the_same() -> None:
    alone = only(json.dumps(an_event()).encode())
    assert alone == only(body_of(an_event()))
    assert alone.timestamp == datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


@given(json_values)
def test_a_message_keeps_its_bytes(message: Any) -> None:
    raw = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return  # a lone surrogate: it travels as base64
    prefix, suffix = json.dumps(an_event(message=0)).encode().split(b'"message": 0')
    event = only(prefix + b'"message": ' + raw + suffix)
    assert envelope.message_text(event) == (raw.decode(), False)


@given(json_values)
def test_an_encoded_batch_is_decoded_to_the_same_events(message: Any) -> None:
    event = Event(
        id="e", timestamp=NOW, type="response", direction="response", message=msgspec.Raw(msgspec.json.encode(message))
    )
    (again,) = envelope.decode_events(msgspec.json.encode(EventBatch([event])))
    assert again == event


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": ""}, "$.id"),
        ({"id": "x" * 201}, "$.id"),
        ({"timestamp": "yesterday"}, "$.timestamp"),
        ({"timestamp": "2026-11-22T12:00:00"}, "$.timestamp"),
        ({"type": "reply"}, "$.type"),
        ({"direction": "inbound"}, "$.direction"),
        ({"sequence": -1}, "$.sequence"),
        ({"sequence": 2**63}, "$.sequence"),
        ({"duration_ms": -0.5}, "$.duration_ms"),
        ({"session_id": "s" * 129}, "$.session_id"),
        ({"colour": "red"}, "colour"),
        ({"server_info": {"name": 7}}, "$.server_info.name"),
    ],
)
def test_one_bad_event_is_refused_in_its_place_and_its_neighbours_are_kept(fields: Any, named: str) -> None:
    first, bad, last = envelope.decode_events(body_of(an_event(id="a"), an_event(**fields), an_event(id="c")))
    assert isinstance(first, Event) and first.id == "a"
    assert named in refusal(bad)
    assert isinstance(last, Event) and last.id == "c"


@pytest.mark.parametrize(
    "body",
    [b"", b"nonsense", b"[]", b"7", b'{"events": 7}', b'{"events": [', b"\xff\xfe", b'{"events": [{}]} trailing'],
)
def test_a_body_that_is_neither_shape_is_refused_as_a_whole_or_by_its_only_event(body: bytes) -> None:
    try:
        events = envelope.decode_events(body)
    except EventError as error:
        assert str(error)
    else:
        assert all(isinstance(event, EventError) for event in events)


def test_nesting_that_would_exhaust_the_stack_is_refused_not_crashed_on() -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    prefix, suffix = json.dumps(an_event(message=0)).encode().split(b'"message": 0')
    try:
        (event,) = envelope.decode_events(b'{"events": [' + prefix + b'"message": ' + deep + suffix + b"]}")
    except EventError as error:
        event = error
    assert "deep" in refusal(event) or "recursion" in refusal(event)


def test_a_batch_over_the_limit_is_refused_with_the_limit() -> None:
    events = [an_event(id=str(number)) for number in range(envelope.MAX_EVENTS_PER_BATCH + 1)]
    with pytest.raises(EventError, match=str(envelope.MAX_EVENTS_PER_BATCH)):
        envelope.decode_events(body_of(*events))


def test_invalid_utf8_in_a_message_is_found_when_its_text_is_asked_for() -> None:
    prefix, suffix = json.dumps(an_event(message=0)).encode().split(b'"message": 0')
    decoded = envelope.decode_events(prefix + b'"message": "\xff"' + suffix)[0]
    with pytest.raises(EventError):
        raise decoded if isinstance(decoded, EventError) else _text_error(decoded)


def _text_error(event: Event) -> Exception:
    with pytest.raises(EventError) as refused:
        envelope.message_text(event)
    return refused.value


def with_encoding(encoding: str, message: Any) -> Event:
    return only(body_of(an_event(message=message, message_encoding=encoding)))


@given(st.binary(max_size=200))
def test_any_bytes_travel_as_base64(payload: bytes) -> None:
    text = base64.b64encode(payload).decode()
    assert envelope.message_text(with_encoding("base64", text)) == (text, True)


@pytest.mark.parametrize("text", ["a", "====", "a b=", "é"])
def test_bad_base64_is_refused(text: str) -> None:
    with pytest.raises(EventError, match="base64"):
        envelope.message_text(with_encoding("base64", text))


def test_text_with_nul_must_be_sent_as_base64() -> None:
    with pytest.raises(EventError, match=r"U\+0000"):
        envelope.message_text(with_encoding("text", "a\0b"))


def test_text_that_is_not_json_is_kept_as_it_was() -> None:
    assert envelope.message_text(with_encoding("text", "not json {")) == ("not json {", False)


def test_a_message_over_the_limit_is_refused_with_what_to_do() -> None:
    event = with_encoding("text", "x" * (envelope.MAX_MESSAGE_BYTES + 1))
    with pytest.raises(EventError) as refused:
        envelope.message_text(event)
    assert "truncated" in refused.value.hint


@pytest.mark.parametrize("moment", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)])
def test_a_moment_from_1970_or_2100_is_refused(moment: datetime) -> None:
    with pytest.raises(EventError, match="timestamp"):
        envelope.check_timestamp(moment, now=NOW)


@pytest.mark.parametrize("age", [timedelta(), timedelta(days=365), -timedelta(hours=23)])
def test_an_old_event_and_a_clock_a_little_ahead_are_accepted(age: timedelta) -> None:
    envelope.check_timestamp(NOW - age, now=NOW)


@given(st.integers(0, 2**48 - 1), tails)
def test_a_uuid7_has_its_version_variant_time_and_74_bits_of_tail(unix_ms: int, tail: bytes) -> None:
    made = envelope.uuid7(unix_ms, tail)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == unix_ms
    assert envelope.uuid7(unix_ms, tail) == made
    for bit in (0, 11, 18, 79):  # the first and last of each of the two random fields
        changed = (int.from_bytes(tail[:10], "big") ^ 1 << 79 - bit).to_bytes(10, "big")
        assert envelope.uuid7(unix_ms, changed) != made


@given(moments, tails)
def test_our_own_id_is_stored_unchanged(moment: datetime, tail: bytes) -> None:
    own = envelope.uuid7(envelope.unix_milliseconds(moment), tail)
    assert envelope.stored_id(1, str(own), moment) == own


@given(st.integers(1, 10**9), st.text(min_size=1, max_size=50), moments)
def test_a_foreign_id_is_stored_the_same_at_every_retry_and_leads_with_its_time(
    customer: int, event_id: str, moment: datetime
) -> None:
    stored = envelope.stored_id(customer, event_id, moment)
    assert stored == envelope.stored_id(customer, event_id, moment)
    assert stored.int >> 80 == envelope.unix_milliseconds(moment)
    assert stored.version == 7


@given(st.text(min_size=1, max_size=50), moments)
def test_two_customers_with_the_same_foreign_id_do_not_collide(event_id: str, moment: datetime) -> None:
    assert envelope.stored_id(1, event_id, moment) != envelope.stored_id(2, event_id, moment)


def test_a_uuid7_that_lies_about_its_time_is_replaced() -> None:
    old = envelope.uuid7(envelope.unix_milliseconds(NOW) - 10_000_000, b"x" * 10)
    stored = envelope.stored_id(1, str(old), NOW)
    assert stored != old
    assert stored.int >> 80 == envelope.unix_milliseconds(NOW)


@given(moments, moments, st.text(min_size=1, max_size=9), st.text(min_size=1, max_size=9))
def test_stored_ids_sort_by_time(first: datetime, second: datetime, one: str, other: str) -> None:
    if envelope.unix_milliseconds(first) < envelope.unix_milliseconds(second):
        assert envelope.stored_id(1, one, first) < envelope.stored_id(1, other, second)


@given(moments)
def test_milliseconds_are_exact_and_floored(moment: datetime) -> None:
    milliseconds = envelope.unix_milliseconds(moment)
    born = datetime(1970, 1, 1, tzinfo=UTC)
    assert timedelta() <= moment - born - timedelta(milliseconds=milliseconds) < timedelta(milliseconds=1)


def test_an_id_of_version_four_is_a_foreign_id() -> None:
    given_id = UUID("9f0c1b3e-8a41-4f57-9a56-0d6e52f7b001")
    assert envelope.stored_id(1, str(given_id), NOW) != given_id


@pytest.mark.parametrize(
    "value", [r'"\ud800"', r'"\q"', "[" * 30_000 + "]" * 30_000], ids=["surrogate", "escape", "deep"]
)
def test_an_event_that_is_no_json_by_itself_does_not_hide_the_others(value: str) -> None:
    good = json.dumps(an_event())
    bad = good.replace('{"', f'{{"tool": {value}, "', 1)
    found = envelope.decode_events(f'{{"v": [1, {{}}], "events": [{good}, {bad} , {good}], "z": 1}}'.encode())
    assert [isinstance(event, EventError) for event in found] == [False, True, False]
