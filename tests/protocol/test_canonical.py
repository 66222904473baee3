"""A value has one spelling, everybody finds the same one, and no other is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from km_protocol.canonical import MAX_INTEGER, dumps, loads
from km_protocol.errors import CanonicalError

LIMIT = 1024 * 1024
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | texts
values = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=30)


@given(values)
def test_what_was_written_is_read_back_and_written_alike(value: object) -> None:
    data = dumps(value)
    assert loads(data, limit=LIMIT) == value
    assert dumps(loads(data, limit=LIMIT)) == data
    assert json.loads(data) == value  # anybody's reader sees the same


@given(st.dictionaries(texts, plain, min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    assert dumps(dict(reversed(value.items()))) == dumps(value)


@given(st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()))
def test_what_is_read_is_its_own_canonical_form(data: bytes) -> None:
    try:
        value = loads(data, limit=LIMIT)
    except CanonicalError:
        return
    assert dumps(value) == data


def test_keys_are_sorted_as_rfc_8785_says() -> None:
    """Section 3.2.3's own example: by UTF-16 code units, which puts an emoji before U+FB33."""
    keys = ["€", "\r", "\ufb33", "1", "\U0001f600", "\x80", "ö"]
    found: dict[str, object] = json.loads(dumps(dict.fromkeys(keys)))
    assert list(found) == ["\r", "1", "\x80", "ö", "€", "\U0001f600", "\ufb33"]


def test_strings_are_escaped_as_rfc_8785_says() -> None:
    assert dumps('€$\x0f\nA\'B"\\"/') == '"€$\\u000f\\nA\'B\\"\\\\\\"/"'.encode()


@pytest.mark.parametrize(
    "value",
    [1.0, 0.5, float("nan"), 2**53, -(2**53), b"", {1: 2}, {None: 1}, {"a": {1}}, "\ud800", {"\udfff": 1}, range(3)],
    ids=repr,
)
def test_what_two_languages_could_write_differently_is_refused(value: object) -> None:
    with pytest.raises(CanonicalError):
        dumps(value)


def test_a_value_within_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(CanonicalError, match="nested deeper"):
        dumps(value)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'\xef\xbb\xbf{"a":1}',
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u000F"',
        b'"\\ud800"',
        b'"\xff"',
        b"1.0",
        b"1e3",
        b"-0",
        b"NaN",
        b"Infinity",
        b"9007199254740992",
        b"1" * 5000,
        b"[" * 100_000,
        b"[" * 40 + b"]" * 40,
        b"{",
        b"",
    ],
    ids=lambda data: ascii(data[:20]),
)
def test_no_other_spelling_is_read(data: bytes) -> None:
    with pytest.raises(CanonicalError):
        loads(data, limit=LIMIT)


def test_no_more_is_read_than_allowed() -> None:
    with pytest.raises(CanonicalError, match="at most 4"):
        loads(b"[1,2]", limit=4)
