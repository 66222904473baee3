"""When to try again: full jitter under a ceiling, and never before the server asked."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from km_client.agent.back_off import delay, retry_after

NOW = datetime(2026, 11, 22, 15, 40, 0, tzinfo=UTC)


@pytest.mark.parametrize(("failures", "ceiling"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 32.0), (8, 60.0), (10_000, 60.0)])
def test_jitter_is_full_and_its_ceiling_doubles_up_to_a_minute(failures: int, ceiling: float) -> None:
    assert delay(failures, min) == 0.0
    assert delay(failures, max) == ceiling


def test_the_server_may_ask_for_longer_but_not_for_shorter() -> None:
    assert delay(1, max, 30.0) == 30.0
    assert delay(8, max, 5.0) == 60.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        (" 120 ", 120.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("Sun, 22 Nov 2026 15:41:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 15:39:00 GMT", 0.0),
        ("Sunday, 22-Nov-26 15:40:30 GMT", 30.0),
        ("99999999", 86_400.0),
        ("", None),
        (None, None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("Sun, 99 Foo 2026", None),
    ],
)
def test_retry_after_may_be_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=NOW) == seconds
