"""What each answer of a server means for the batch that was sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from km_client.agent.api import Answer
from km_client.agent.refusals import Refusal
from km_client.agent.verdict import (
    Forbidden,
    Invalid,
    Later,
    Stored,
    TooLarge,
    Unauthorized,
    UnknownEncoding,
    Verdict,
    judge,
)

NOW = datetime(2026, 11, 22, 15, 40, 0, tzinfo=UTC)


def receipt(accepted: int, duplicates: int = 0, rejected: Any = (), success: bool = True) -> bytes:
    said = {"success": success, "accepted": accepted, "duplicates": duplicates, "rejected": list(rejected)}
    return json.dumps(said).encode()


def error(code: str, message: str, hint: str = "") -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "hint": hint}}).encode()


BAD = {"index": 1, "id": "x", "code": "invalid_event", "message": "no", "hint": "fix it"}
MISCOUNTED = "the server accounted for"
NOT_OURS = "the server answered 200 but not as Kilometers does"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(200, receipt(3)), Stored(0, {})),
        (Answer(200, receipt(1, 2)), Stored(2, {})),
        (Answer(200, receipt(2, 0, [BAD])), Stored(0, {1: Refusal("x", "invalid_event", "no", "fix it")})),
        (Answer(200, receipt(0, 3)), Stored(3, {})),
        (Answer(401, error("revoked_key", "the key is revoked")), Unauthorized("the key is revoked")),
        (Answer(403, error("feature_not_available", "not in this tier")), Forbidden("not in this tier")),
        (Answer(413, b"<html>too large</html>"), TooLarge()),
        (Answer(415, b""), UnknownEncoding()),
        (Answer(400, error("invalid_event", "bad", "h")), Invalid(Refusal("", "invalid_event", "bad", "h"))),
        (Answer(422, b""), Invalid(Refusal("", "invalid", "the server answered 422", ""))),
        (Answer(429, error("quota_exceeded", "used up"), "3600"), Later("used up", 3600.0)),
        (Answer(503, error("unavailable", "down"), "Sun, 22 Nov 2026 15:40:07 GMT"), Later("down", 7.0)),
        (Answer(500, b"Traceback"), Later("the server answered 500", None)),
        (Answer(408, b""), Later("the server answered 408", None)),
    ],
)
def test_each_answer_has_one_meaning(answer: Answer, verdict: Verdict) -> None:
    assert judge(answer, sent=3, now=NOW) == verdict


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(200, receipt(2)), MISCOUNTED),
        (Answer(200, receipt(4)), MISCOUNTED),
        (Answer(200, receipt(3, success=False)), MISCOUNTED),
        (Answer(200, receipt(2, 0, [BAD | {"index": 99}])), MISCOUNTED),
        (Answer(200, b"<html>Sign in to the hotel's network</html>"), NOT_OURS),
        (Answer(200, b""), NOT_OURS),
        (Answer(200, b"[]"), NOT_OURS),
        (Answer(200, b'{"success": "yes"}'), NOT_OURS),
        (Answer(200, b"\xff"), NOT_OURS),
        (Answer(302, b""), "is api_url the address of a Kilometers server?"),
        (Answer(404, b"not found"), "is api_url the address of a Kilometers server?"),
        (Answer(204, b""), "the server answered 204"),
    ],
)
def test_what_does_not_say_that_every_event_is_safe_is_no_receipt(answer: Answer, words: str) -> None:
    verdict = judge(answer, sent=3, now=NOW)
    assert isinstance(verdict, Later) and words in verdict.reason


def test_an_error_of_another_shape_is_still_an_answer() -> None:
    for body in (b"", b"[]", b'{"error": "text"}', b'{"error": {"message": 5}}', b"[" * 5000):
        assert isinstance(judge(Answer(503, body), sent=1, now=NOW), Later)
