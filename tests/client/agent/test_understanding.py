"""Whatever a line holds, it becomes messages that can travel, with the bytes that were sent."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from km_client.agent.understanding import (
    MAX_BATCH_ELEMENTS,
    Message,
    is_strict_json,
    part_of_line,
    request_key,
    understand,
)

DEEP = b'{"jsonrpc":"2.0","id":1,"result":' + b"[" * 3000 + b"]" * 3000 + b"}"


def one(line: bytes) -> Message:
    (message,) = understand(line)
    return message


@pytest.mark.parametrize(
    ("line", "kind", "key", "method", "is_error"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', "request", "i1", "ping", False),
        (b'{"jsonrpc":"2.0","id":"1","method":"ping"}', "request", "s1", "ping", False),
        (
            b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
            "notification",
            None,
            "notifications/initialized",
            False,
        ),
        (b'{"jsonrpc":"2.0","id":7,"result":{}}', "response", "i7", None, False),
        (b'{"jsonrpc":"2.0","id":7,"result":null}', "response", "i7", None, False),
        (b'{"jsonrpc":"2.0","id":7,"result":{},"error":null}', "response", "i7", None, False),
        (b'{"jsonrpc":"2.0","id":7,"result":null,"error":{"code":1}}', "error", "i7", None, True),
        (b'{"jsonrpc":"2.0","id":7,"error":null}', "error", "i7", None, True),
        (b'{"jsonrpc":"2.0","id":7,"result":{"isError":true}}', "response", "i7", None, True),
        (b'{"jsonrpc":"2.0","id":7,"result":{"isError":"yes"}}', "response", "i7", None, False),
        (b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700}}', "error", None, None, True),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1,2]}', "request", "i1", "ping", False),
        (b'{"hello":"world"}', "notification", None, None, True),
        (b"3", "notification", None, None, True),
        (b"Server listening on stdio", "notification", None, None, True),
        (b'{"jsonrpc":"2.0","id":1,"method":', "notification", None, None, True),
    ],
)
def test_a_line_is_classified_by_its_members(
    line: bytes, kind: str, key: str | None, method: str | None, is_error: bool
) -> None:
    message = one(line)
    assert (message.kind, message.key, message.method, message.is_error) == (kind, key, method, is_error)


def test_the_members_that_correlation_needs_are_read() -> None:
    meta = b'{"io.modelcontextprotocol/subscriptionId":4}'
    line = b'{"id":1,"method":"tools/call","params":{"name":"git_log","_meta":' + meta + b"}}"
    assert one(line).body.name == "git_log"
    assert one(line).body.meta.subscription_id == 4


@pytest.mark.parametrize(
    ("line", "encoding"),
    [
        (b'{"id":1,"method":"a"}', "json"),
        ('{"id":1,"method":"a\u2028b"}'.encode(), "json"),
        (rb'{"id":1,"method":"x","params":"\u0000"}', "json"),
        (rb'{"id":1,"result":{"text":"\ud800"}}', "text"),  # a lone surrogate: JSON by the grammar, refused by parsers
        (b'{"id":1,"result":{"ratio":NaN}}', "text"),  # as Python's json writes it
        (DEEP, "text"),
        (b"plain words", "text"),
        (b"nul \0 inside", "base64"),
        (b"\xff\xfe not UTF-8", "base64"),
        (b'{"id":1,"method":"\xe9"}', "base64"),  # an ANSI code page
    ],
)
def test_the_encoding_is_one_that_can_travel(line: bytes, encoding: str) -> None:
    assert one(line).encoding == encoding


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":5,"result":{"isError":true,"r":NaN}}',
        rb'{"id":5,"result":{"isError":true,"x":"\ud800"}}',
    ],
)
def test_json_that_only_lenient_parsers_take_is_still_understood(line: bytes) -> None:
    message = one(line)
    assert (message.kind, message.key, message.is_error) == ("response", "i5", True)


def test_nesting_that_a_server_might_refuse_travels_as_text_and_is_no_fault() -> None:
    barely = b'{"id":1,"result":' + b"[" * 750 + b"]" * 750 + b"}"
    assert one(barely).encoding == "text"
    assert one(barely).key == "i1"
    assert not one(DEEP).is_error


def test_wide_json_is_not_taken_for_deep() -> None:
    wide = b'{"id":1,"result":[' + b",".join([b"{}"] * 5000) + b"]}"
    assert one(wide).encoding == "json"


def test_a_batch_is_taken_apart_with_each_elements_own_bytes() -> None:
    line = b'[ {"id": 1, "method":"a"} ,{"id":"1","result":{}},\t{"method":"n" } ]\r'
    assert [message.content for message in understand(line)] == [
        b'{"id": 1, "method":"a"}',
        b'{"id":"1","result":{}}',
        b'{"method":"n" }',
    ]
    assert [message.kind for message in understand(line)] == ["request", "response", "notification"]


def test_a_batch_that_is_a_bomb_stays_one_message() -> None:
    assert len(understand(b"[" + b",".join([b"1"] * MAX_BATCH_ELEMENTS) + b"]")) == MAX_BATCH_ELEMENTS
    assert len(understand(b"[" + b",".join([b"1"] * (MAX_BATCH_ELEMENTS + 1)) + b"]")) == 1
    assert len(understand(b"[]")) == 1


@pytest.mark.parametrize("line", [b"", b"\r", b"  \t "])
def test_a_blank_line_is_no_message(line: bytes) -> None:
    assert understand(line) == ()


def test_text_that_is_no_json_keeps_its_blanks() -> None:
    assert one(b"  indented, with a tail \r").content == b"  indented, with a tail \r"


def test_part_of_a_line_concludes_nothing() -> None:
    part = part_of_line(b'{"jsonrpc":"2.0","id":1,"meth')
    assert (part.kind, part.key, part.encoding, part.is_error) == ("notification", None, "text", False)
    assert part_of_line(b"caf\xc3").encoding == "base64"


@pytest.mark.parametrize(
    ("one_id", "other", "same"),
    [(1, "1", False), (1, 1.0, True), ("a", "a", True), (1.5, 1.5, True), (10**30, 10**30, True), (1, 2, False)],
)
def test_ids_are_told_apart_by_type_and_value(one_id: object, other: object, same: bool) -> None:
    assert (request_key(one_id) == request_key(other)) is same


@pytest.mark.parametrize("identifier", [None, True, [], {}])
def test_what_may_not_be_an_id_is_none(identifier: object) -> None:
    assert request_key(identifier) is None


def test_long_and_strange_ids_have_short_plain_keys() -> None:
    for identifier in ("x" * 10_000, "\ud800", 10**400):
        key = request_key(identifier)
        assert key is not None and len(key) <= 128 and key.isascii()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
RPC = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("jsonrpc", "id", "method", "params", "result", "error", "_meta"), JSON)
)


@given(st.binary(max_size=200).filter(lambda data: b"\n" not in data))
def test_no_bytes_make_it_fail(line: bytes) -> None:
    for message in understand(line):
        assert message.content in line


@given(RPC | JSON, st.booleans())
def test_whatever_json_says_it_travels_in_the_encoding_it_claims(value: object, ascii_only: bool) -> None:
    line = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass").replace(b"\n", b" ")
    for message in understand(line):
        if message.encoding == "json":
            assert is_strict_json(message.content)
        if message.encoding == "text":
            assert msgspec.json.encode(message.content.decode())
