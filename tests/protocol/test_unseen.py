"""What does not show is recognised, and what honest text is made of is not."""

from __future__ import annotations

import pytest
from km_protocol.unseen import UNSEEN

HIDING = {
    "zero-width space": "\u200b",
    "right-to-left override": "\u202e",
    "word joiner": "\u2060",
    "tag": "\U000e0041",
    "variation selector": "\ufe01",
    "soft hyphen": "\xad",
    "Hangul filler": "\u3164",
    "Braille blank": "\u2800",
    "shorthand control": "\U0001bca0",
    "musical control": "\U0001d173",
    "reserved ignorable": "\ufff0",
    "escape": "\x1b",
    "lone surrogate": "\ud800",
}


@pytest.mark.parametrize("name", HIDING)
def test_what_does_not_show_is_found(name: str) -> None:
    assert UNSEEN.findall(f"read{HIDING[name]}_file") == [HIDING[name]]


@pytest.mark.parametrize(
    "text", ["a tab\tand\na line", "naïve ẞ", "日本語", "עברית", "हिन्दी", "❤\ufe0f", "👩🏽", "e\u0301"]
)
def test_honest_text_shows(text: str) -> None:
    assert UNSEEN.search(text) is None
