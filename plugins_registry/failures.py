"""Slowing whoever keeps failing: by address until it is known who calls, then by address and API key.

    with counted(address, principal, at=moment): …     # a 400, 401 or 403 raised in here is logged and counted

One misconfigured machine in an office does not use up the patience meant for all of them, nor one machine that of
every other with the same key. A success costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog

from core.errors import ApiError, TooManyRequests, Unavailable
from core.throttling import FailureLimit
from customers.authentication import Principal

STRANGERS = FailureLimit("plugins-address", failures=300, window=timedelta(minutes=5))
KEYS = FailureLimit("plugins-key", failures=60, window=timedelta(minutes=5))
"""A host that tries every five seconds still reads what is wrong; a tight loop does not."""

_NO_FAILURES = (TooManyRequests, Unavailable)  # of ours, if of anyone's
_log = structlog.get_logger(__name__)


@contextmanager
def counted(address: str, principal: Principal | None = None, *, at: datetime) -> Iterator[None]:
    """Count what the block raises. Raises `TooManyRequests` before it once there was too much."""
    limit, caller = (KEYS, _pair(address, principal)) if principal else (STRANGERS, address)
    limit.check(caller, now=at)
    try:
        yield
    except _NO_FAILURES:
        raise
    except ApiError as error:
        limit.count(caller, now=at)
        customer = principal.public_id if principal else ""
        _log.info("plugin_refused", customer=customer, address=address, code=error.code, cause=error.message)
        raise


def count(address: str, principal: Principal, *, at: datetime) -> None:
    """Note a failure of `principal` that is answered without an error."""
    KEYS.count(_pair(address, principal), now=at)


def _pair(address: str, principal: Principal) -> str:
    return f"{address} {principal.key_id}"
