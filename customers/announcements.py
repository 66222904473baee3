"""Tells the other processes that something was revoked, by a number in Redis that only grows.

    bump()     # after a revocation is committed
    look()     # before a remembered proof is trusted: asks Redis at most once a second, and forgets when it grew

A hint only: without Redis (on a laptop, or while it is away) a proof is still forgotten after a minute
(`proofs.MAX_AGE_SECONDS`), which is what is promised. With it, a revoked key ends everywhere within about a second.
"""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING

import structlog
from django.conf import settings

from customers import proofs

if TYPE_CHECKING:
    from core.redis_client import Client

LOOK_EVERY_SECONDS = 1.0
_KEY = "km:revocations"

_log = structlog.get_logger(__name__)


class _Seen:
    """What this process saw last, and when it looks again (monotonic seconds)."""

    number: object = None
    look_at = float("-inf")


def bump() -> None:
    """Have every process forget its proofs soon."""
    client = _client(settings.REDIS_URL)
    if client is None:
        return
    try:
        client.incr(_KEY)
    except client.Error as error:
        _log.warning("redis_unreachable", error=str(error), effect="the revocation is in force within a minute")


def look() -> None:
    """Forget this process's proofs if something was revoked since the last look."""
    moment = time.monotonic()
    client = _client(settings.REDIS_URL)
    if client is None or moment < _Seen.look_at:
        return
    _Seen.look_at = moment + LOOK_EVERY_SECONDS
    try:
        number = client.get(_KEY)
    except client.Error:
        return  # said by whoever needs it more; the minute holds
    if number != _Seen.number:
        _Seen.number = number
        proofs.forget_all()


@cache
def _client(url: str) -> Client | None:
    if not url:
        return None
    from core import redis_client  # noqa: PLC0415 - an embedded service loads no Redis client

    return redis_client.connect(url)
