"""When to try again, in seconds. Pure: the randomness and the clock come in.

Full jitter: anything between nothing and the ceiling, so the clients that a downed server sent away do not come back as
one. A server's own `Retry-After` is the least to wait.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_SECONDS = 0.5
CEILING_SECONDS = 60.0
LONGEST_RETRY_AFTER_SECONDS = 24 * 3600.0  # a longer one is a mistake: a quota is for a day


def delay(failures: int, uniform: Callable[[float, float], float], retry_after: float | None = None) -> float:
    """How long to wait after `failures` (at least one) in a row. `uniform(low, high)` draws from that range."""
    ceiling = min(CEILING_SECONDS, FIRST_SECONDS * 2 ** min(failures - 1, 16))
    return max(uniform(0.0, ceiling), retry_after or 0.0)


def retry_after(header: str | None, *, now: datetime) -> float | None:
    """What a `Retry-After` header asks for: seconds or a date (RFC 9110 §10.2.3); `None` if it says neither."""
    if not header:
        return None
    seconds = _seconds(header.strip(), now)
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def _seconds(header: str, now: datetime) -> float | None:
    try:
        seconds = float(header)
        return seconds if math.isfinite(seconds) else None
    except ValueError:
        return _until_date(header, now)


def _until_date(header: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - now).total_seconds()
