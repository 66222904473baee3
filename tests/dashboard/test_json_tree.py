"""JSON that folds: the text's own tokens, whole values only, nothing trusted."""

from __future__ import annotations

import html
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.json_tree import MAX_DEPTH, tree

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
PRINTED = re.compile(r"U\+[0-9A-F]{4,6}")


def words(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", markup))


@given(st.lists(VALUES, max_size=4))
def test_every_scalar_is_in_it_and_every_element_is_closed(value: list[object]) -> None:
    text = json.dumps(value)  # ASCII, so nothing is spelled out
    found = tree(text)
    assert found.count("<details open>") == found.count("</details>") <= text.count("[") + text.count("{")
    assert found.count("<div>") == found.count("</div>")
    plain = words(found)
    for token in re.findall(r'"(?:[^"\\]|\\.)*"|-?\d+|true|false|null', text):
        assert token in plain


def test_numbers_and_keys_stay_as_they_were_sent() -> None:
    assert words(tree('{"n":1.50e3,"n":2,"o":{}}')) == '{3}"n": 1.50e3"n": 2"o": {}'


def test_hostile_text_is_escaped_and_what_hides_is_shown() -> None:
    found = tree('{"<img src=x>":"</details><script>\u202e"}')
    assert "<img" not in found
    assert "<script" not in found
    assert "U+202E" in found


@pytest.mark.parametrize(
    "text",
    ["", "plain", "7", '"s"', '{"cut":', '{"a":1}}', "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "[" * 100_000],
)
def test_what_is_not_one_whole_container_has_no_tree(text: str) -> None:
    assert tree(text) == ""
