"""Waiting for a condition, bounded: the one way tests of several processes wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.5


def eventually(
    condition: Callable[[], T | None], *, within: float = 30.0, what: str = "", every: float = POLL_SECONDS
) -> T:
    """The first true value of `condition`; fails with `what` (and the last value) after `within` seconds.

    It is asked again after `every` seconds, or after as long as asking took: a condition that starts a program would
    otherwise take a processor from what it waits for.
    """
    deadline = time.monotonic() + within
    while True:
        asked = time.monotonic()
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what or condition}; last value: {value!r}")
        time.sleep(max(every, min(time.monotonic() - asked, LONGEST_PAUSE_SECONDS)))
