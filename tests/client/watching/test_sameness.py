"""What differs is found at its place, what was redacted matches what it stands for, what is ignored may differ."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from km_client.watching.replaying.sameness import MISSING, differences, pointer


def places(recorded: Any, now: Any, *ignored: str) -> list[str]:
    return [found.pointer for found in differences(recorded, now, [pointer(each) for each in ignored])]


@pytest.mark.parametrize(
    ("recorded", "now", "expected"),
    [
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": True}, ["/a"]),
        ({"a": 0}, {"a": None}, ["/a"]),
        ({"a": [1, 2, 3]}, {"a": [1, 5]}, ["/a/1", "/a/2"]),
        ({"a/b": {"~": 1}}, {"a/b": {"~": 2}}, ["/a~1b/~0"]),
        ({"a": 1}, {"b": 1}, ["/a", "/b"]),
        ({"a": None}, {}, ["/a"]),
        ({"a": math.nan}, {"a": math.nan}, []),
        ({"a": math.nan}, {"a": 1.5}, ["/a"]),
        ({"a": {}}, {"a": []}, ["/a"]),
        ("x", "y", [""]),
    ],
)
def test_each_difference_has_its_pointer(recorded: Any, now: Any, expected: list[str]) -> None:
    assert places(recorded, now) == expected


def test_an_ignored_place_and_what_is_below_it_may_differ() -> None:
    recorded, now = {"r": [{"t": 1, "u": {"v": 1}}, {"t": 1}]}, {"r": [{"t": 2, "u": {"v": 2}}, {"t": 3}]}
    assert places(recorded, now, "/r/*/t") == ["/r/0/u/v"]
    assert places(recorded, now, "/r/0", "/r/1/t") == []
    assert places(recorded, now, "/r/*") == []
    assert places(recorded, now, "/t") == ["/r/0/t", "/r/0/u/v", "/r/1/t"]


@pytest.mark.parametrize(
    ("recorded", "now", "same"),
    [
        ("[redacted:api_key]", "sk-1234", True),
        ("[redacted:api_key]", 1234, True),
        ("[redacted:api_key]", {"a": 1}, False),
        ("key=[redacted:api_key]; user=[redacted:email]!", "key=a; user=b!", True),
        ("key=[redacted:api_key]; user=[redacted:email]!", "key=a; user=b", False),
        ("[redacted:a]x[redacted:b]", "yy", False),
        ("ab[redacted:a]ba", "aba", False),
    ],
)
def test_a_redaction_stands_for_what_was_there(recorded: Any, now: Any, same: bool) -> None:
    assert (not places(recorded, now)) is same


def test_many_redactions_in_a_long_text_take_no_time() -> None:
    recorded = "a[redacted:k]" * 2_000 + "end"
    began = time.process_time()
    assert places(recorded, "a" * 200_000) == [""]
    assert time.process_time() - began < 2


def test_words_show_where_long_texts_part_and_nothing_raw() -> None:
    recorded, now = "x" * 500 + "one\x1b[2J", "x" * 500 + "two"
    (found,) = differences(recorded, now)
    words = found.words()
    assert "one" in words and "two" in words and "\x1b" not in words and len(words) < 250
    (gone,) = differences({"a": "b"}, {})
    assert gone.now is MISSING and gone.words() == '/a: recorded "b", now nothing'
