"""JSON is laid out from its own text: nothing changes but white space, nothing runs, nothing hides."""

from __future__ import annotations

import html
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.json_view import MAX_DEPTH, hex_dump, pretty, visible

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def text_of(markup: str) -> str:
    """What a reader sees: the spans gone, the entities as characters, spelled-out code points as they were."""
    spelled = re.sub(r'<span class="unseen" title="[^"]*">U\+([0-9A-F]+)</span>', lambda m: chr(int(m[1], 16)), markup)
    return html.unescape(re.sub(r"</?span[^>]*>", "", spelled))


@given(ANY_JSON)
def test_laid_out_json_says_the_same_as_the_message(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert json.loads(text_of(pretty(text))) == value


@given(st.text())
def test_no_text_becomes_markup(text: str) -> None:
    assert not re.search(r"<(?!/?span[ >])", pretty(text) + visible(text))


def test_numbers_and_repeated_keys_keep_their_spelling() -> None:
    shown = text_of(pretty('{"n":1.50e3,"n":10000000000000000000000.0}'))
    assert shown == '{\n  "n": 1.50e3,\n  "n": 10000000000000000000000.0\n}'


def test_the_beginning_of_a_message_is_laid_out_too() -> None:
    assert text_of(pretty('{"a":[1,{"b":"unfinis')) == '{\n  "a": [\n    1,\n    {\n      "b": "unfinis'


def test_empty_containers_stay_on_one_line() -> None:
    assert text_of(pretty('{"a":{},"b":[ ]}')) == '{\n  "a": {},\n  "b": []\n}'


def test_keys_and_strings_are_told_apart() -> None:
    assert '<span class="k">&quot;a&quot;</span>' in pretty('{"a" :"b"}')
    assert '<span class="s">&quot;b&quot;</span>' in pretty('{"a" :"b"}')


def test_a_colon_inside_a_string_makes_it_no_key() -> None:
    shown = pretty('{"uri":"file:///home/a:b"}')
    assert '<span class="s">&quot;file:///home/a:b&quot;</span>' in shown
    assert text_of(shown) == '{\n  "uri": "file:///home/a:b"\n}'


def test_hidden_characters_are_spelled_out() -> None:
    shown = visible("ignore\u202e previous\u200b\x1b[2J \U000e0041")
    for code_point, name in [
        ("U+202E", "RIGHT-TO-LEFT OVERRIDE"),
        ("U+200B", "ZERO WIDTH SPACE"),
        ("U+001B", "control character"),
        ("U+E0041", "TAG LATIN CAPITAL LETTER A"),
    ]:
        assert f'<span class="unseen" title="{name}">{code_point}</span>' in shown


def test_nesting_beyond_reason_is_shown_as_it_was_sent() -> None:
    hostile = "[" * 16_000
    assert pretty(hostile) == hostile
    assert "\n" in pretty("[" * MAX_DEPTH)


@pytest.mark.timeout(30)
def test_hostile_text_does_not_send_the_pattern_back_and_forth() -> None:
    for hostile in (
        '"' + "\\" * 200_000,
        '"a" ' * 50_000,
        "\\" * 200_000,
        '"' * 200_000,
        '"' + '\\"' * 100_000 + "\\",
        '"x"' + " " * 200_000,
    ):
        assert text_of(pretty(hostile)).replace(" ", "") == hostile.replace(" ", "")


def test_bytes_are_shown_sixteen_a_line() -> None:
    assert hex_dump(b"\x89PNG\r\n<b>\xff" + b"A" * 8) == (
        "00000000  89 50 4e 47 0d 0a 3c 62 3e ff 41 41 41 41 41 41  ·PNG··&lt;b&gt;·AAAAAA\n"
        "00000010  41 41                                            AA"
    )
