"""What every step of the demo shares: its one error, its progress lines, and a bounded wait."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

POLL_SECONDS = 0.1


class DemoError(Exception):
    """A step failed; the text says which and what to look at."""


def say(text: str) -> None:
    """One line of progress, on stderr: stdout is for the result."""
    print(f"  {text}", file=sys.stderr, flush=True)


def wait_for(condition: Callable[[], bool], *, within: float, what: str) -> None:
    """Return when `condition` holds; `DemoError` after `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise DemoError(f"after {within:.0f} s it still does not hold that {what}")
        time.sleep(POLL_SECONDS)
