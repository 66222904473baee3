"""The key format: a key survives its own parser, a typo does not, and nothing else passes for one."""

from __future__ import annotations

import string
import zlib
from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from km_protocol import api_keys
from km_protocol.api_keys import ALPHABET, ApiKey, KeyKind
from km_protocol.errors import MalformedKeyError

kinds = st.sampled_from(get_args(KeyKind))
bodies = st.text(ALPHABET, min_size=30, max_size=30)
keys = st.builds(api_keys.compose, kinds, bodies)


@given(kinds, bodies)
def test_a_composed_key_is_parsed_and_keeps_its_kind(kind: KeyKind, body: str) -> None:
    key = api_keys.compose(kind, body)
    assert api_keys.parse(key) == key
    assert api_keys.kind(key) == kind
    assert len(key) == len(f"km_{kind}_") + 36


@given(keys, st.data())
def test_every_single_wrong_character_is_caught_offline(key: ApiKey, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(key) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits + "_ "))
    assume(other != key[position])
    with pytest.raises(MalformedKeyError):
        api_keys.parse(key[:position] + other + key[position + 1 :])


@given(keys, st.data())
def test_two_swapped_neighbours_are_caught_offline(key: ApiKey, data: st.DataObject) -> None:
    position = data.draw(st.integers(8, len(key) - 2))
    assume(key[position] != key[position + 1])
    swapped = key[:position] + key[position + 1] + key[position] + key[position + 2 :]
    with pytest.raises(MalformedKeyError):
        api_keys.parse(swapped)


@given(st.text())
def test_other_text_is_refused_and_never_repeated_whole(text: str) -> None:
    with pytest.raises(MalformedKeyError) as refused:
        api_keys.parse(text)
    assert len(text) <= 12 or text not in str(refused.value) + refused.value.hint
    assert refused.value.hint


def test_a_mistyped_key_is_named_by_its_first_twelve_characters_only() -> None:
    key = api_keys.compose("live", "0" * 30)
    with pytest.raises(MalformedKeyError, match="checksum") as refused:
        api_keys.parse(key[:-1] + ("1" if key[-1] != "1" else "2"))
    assert f"`{key[:12]}`" in str(refused.value)
    assert key[12:] not in str(refused.value)


@pytest.mark.parametrize(
    "body", ["", "a" * 29, "a" * 31, "-" * 30, "é" * 30], ids=["empty", "short", "long", "other", "accent"]
)
def test_a_body_of_another_shape_cannot_be_composed(body: str) -> None:
    with pytest.raises(MalformedKeyError):
        api_keys.compose("live", body)


@given(keys, keys, st.sampled_from([" ", "\n", '"', "=", "/"]))
def test_real_keys_are_found_in_text_and_look_alikes_are_not(first: ApiKey, second: ApiKey, gap: str) -> None:
    look_alike = "km_live_" + "A" * 36
    assert api_keys.find(f"x{gap}{first}{gap}{look_alike}{gap}{second}{gap}") == [first, second]


@given(keys)
def test_a_key_inside_a_longer_word_is_not_one(key: ApiKey) -> None:
    assert api_keys.find(f"a{key}") == []
    assert api_keys.find(f"{key}a") == []


def test_the_checksum_is_a_crc_of_all_that_comes_before_it() -> None:
    key = api_keys.compose("ci", "abcdefghijklmnopqrstuvwxyz0123")
    digits = 0
    for character in key[-6:]:
        digits = digits * 62 + ALPHABET.index(character)
    assert digits == zlib.crc32(key[:-6].encode())
