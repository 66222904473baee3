"""Waiting for a condition, bounded: the one way tests of several processes wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.05


def eventually(condition: Callable[[], T | None], *, within: float = 30.0, what: str = "") -> T:
    """The first true value of `condition`; fails with `what` (and the last value) after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what or condition}; last value: {value!r}")
        time.sleep(POLL_SECONDS)
