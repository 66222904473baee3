"""No line of log holds a secret, whoever wrote it and wherever in the line it stands."""

from __future__ import annotations

import pytest

from core.redaction import without_secrets

KEY = "km_live_0123456789ABCDEFGHIJKLMNOPQRSTabcdef"
TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJjdXMifQ.c2lnbmF0dXJlc2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        (f"Bearer {KEY}", KEY[9:]),
        (f'{{"body": "{{\\"ApiKey\\": \\"{KEY}\\"}}"}}', KEY[9:]),
        (f"/api/events?key={KEY}&x=1", KEY[9:]),
        (f"cut short: {KEY[:30]}", KEY[9:30]),
        (f"token {TOKEN} refused", TOKEN[10:]),
        (f"unsigned {TOKEN.rpartition('.')[0]}.", "eyJzdWIi"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
        ("Authorization: Bearer a-metrics-token-of-ours", "a-metrics-token-of-ours"),
        ("postgres://km:hunter22@db/km is away", "hunter22"),
        ("redis://:hunter22@cache:6379/0", "hunter22"),
        ("Cookie: sessionid=abc123def; theme=dark", "abc123def"),
    ],
)
def test_a_secret_is_taken_out(line: str, secret: str) -> None:
    assert secret in line
    assert secret not in without_secrets(line)
    assert "***" in without_secrets(line)


@pytest.mark.parametrize(
    "line",
    ['{"customer_id": "cus_7Yd0PqV2mRk4TzWx1BcA", "key_id": "key_0aXv9QbTn31LpEr8SdUy"}', "http://127.0.0.1:8318/app/"],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert without_secrets(line) == line
