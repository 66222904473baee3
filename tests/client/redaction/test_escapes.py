"""Secrets behind escapes are found, and no escape is split."""

# ruff: noqa: E501 - a case a line, to be read as a table
from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from km_client.agent.redaction import RedactionRules, Redactor
from km_client.redaction import escapes

REDACTOR = Redactor(RedactionRules())
KEY = "gh" + "p_" + "a1B2" * 9


def redact(text: str) -> str:
    return REDACTOR.redact(text.encode()).content.decode()


@pytest.mark.parametrize(
    ("message", "left"),
    [
        (r'{"u":"https://h/?a=1\u0026token=abc123def456"}', r'{"u":"https://h/?a=1\u0026token=[redacted:secret]"}'),
        (r'{"t":"{\u0022password\u0022: \u0022hunter2!\u0022}"}', r'{"t":"{\u0022password\u0022: \u0022[redacted:password]\u0022}"}'),
        (r'{"t":"{\\u0022password\\u0022:\\u0022hunter2!\\u0022}"}', r'{"t":"{\\u0022password\\u0022:\\u0022[redacted:password]\\u0022}"}'),
        (r'{"u":"postgres:\/\/me:s3cret9@db\/x"}', r'{"u":"postgres:\/\/me:[redacted:url_password]@db\/x"}'),
        (r'{"pass\u0077ord":"hunter2"}', r'{"pass\u0077ord":"[redacted:password]"}'),
        ('{"t":"x ' + KEY.replace("B", r"\u0042") + '"}', '{"t":"x [redacted:github_token]"}'),
        (r'{"t":"a\u000a' + KEY + r'\u000ab"}', r'{"t":"a\u000a[redacted:github_token]\u000ab"}'),
    ],
)  # fmt: skip
def test_escapes_hide_no_secret_and_stay_as_they_were(message: str, left: str) -> None:
    assert redact(message) == left
    assert json.loads(left)


@pytest.mark.parametrize("depth", range(5))
def test_a_value_ends_at_the_quote_of_its_own_depth(depth: int) -> None:
    value: object = {"password": 'he said "x\\" 9', "kept": 'a "word"'}
    left: object = {"password": "[redacted:password]", "kept": 'a "word"'}
    for _ in range(depth):
        value, left = {"body": json.dumps(value)}, {"body": json.dumps(left)}
    assert json.loads(redact(json.dumps(value))) == left


@pytest.mark.parametrize("depth", range(3))
def test_a_number_becomes_a_text_at_any_depth(depth: int) -> None:
    value: object = {"password": 12345678}
    left: object = {"password": "[redacted:password]"}
    for _ in range(depth):
        value, left = {"body": json.dumps(value)}, {"body": json.dumps(left)}
    assert json.loads(redact(json.dumps(value))) == left


def test_basic_is_redacted_if_it_says_a_name_and_a_password() -> None:
    value = base64.b64encode(b"me:correct horse").decode()
    assert redact(f"Authorization: Basic {value}") == "Authorization: Basic [redacted:authorization]"
    assert redact(f"sent as Basic {value} twice") == "sent as Basic [redacted:authorization] twice"
    assert redact("Basic authentication and Basic understanding") == "Basic authentication and Basic understanding"


TEXT = st.text(st.sampled_from('a/&"<é\n01u'), max_size=40)


@settings(deadline=None)
@given(TEXT, st.booleans(), st.booleans())
def test_the_view_says_the_same_and_every_place_in_it_leads_back(text: str, slashes: bool, cautious: bool) -> None:
    line = json.dumps(text)
    line = line.replace("/", "\\/") if slashes else line
    line = line.replace("&", "\\u0026").replace("<", "\\u003c") if cautious else line
    view = escapes.plain(line.encode())
    assert json.loads(view.content) == text
    for start in range(len(view.content)):
        for end in (start + 1, len(view.content)):
            low, high = view.whole(start, end)
            assert 0 <= low < high <= len(line.encode())
    assert view.whole(0, len(view.content)) == (0, len(line.encode()))
