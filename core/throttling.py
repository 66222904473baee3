"""Counting failures, so that guessing and misconfigured loops are slowed and nobody else is.

    limit = FailureLimit("exchange", failures=100, window=timedelta(minutes=5))
    limit.check("203.0.113.7", now=moment)     # 429 with Retry-After once there were too many
    limit.count("203.0.113.7", now=moment)     # after a failure; a success costs nothing

Counters live in the cache, in fixed windows; while Redis is away, in each process's own memory (`kmcloud.cache`):
nobody is turned away for that, and nobody guesses freely either.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

from core.errors import TooManyRequests


@dataclass(frozen=True, slots=True)
class FailureLimit:
    """At most `failures` in a `window` for each caller, an address standing for its network (`network_of`).

    `words` are for what is counted.
    """

    name: str
    failures: int
    window: timedelta
    words: str = "failed attempts"

    def check(self, caller: str, *, now: datetime) -> None:
        """Raises `TooManyRequests` once `caller` failed too often; `Retry-After` is when the window ends."""
        if cache.get(self._key(caller, now), 0) >= self.failures:
            raise TooManyRequests(
                f"{self.failures} {self.words} in {self.window.total_seconds() / 60:.0f} minutes",
                "correct the cause before trying again; `Retry-After` says when",
                retry_after=self._seconds_left(now),
            )

    def count(self, caller: str, *, now: datetime) -> None:
        """Note one failure of `caller`."""
        key = self._key(caller, now)
        cache.add(key, 0, timeout=self.window.total_seconds())
        try:
            cache.incr(key)
        except ValueError:  # it was evicted between the two, or Redis went or came back: this failure is the first
            cache.add(key, 1, timeout=self.window.total_seconds())

    def _key(self, caller: str, now: datetime) -> str:
        digest = hashlib.blake2b(network_of(caller).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return f"throttle:{self.name}:{digest}:{int(now.timestamp() // self.window.total_seconds())}"

    def _seconds_left(self, now: datetime) -> int:
        window = int(self.window.total_seconds())
        return window - int(now.timestamp()) % window


def network_of(address: str) -> str:
    """Whom to count under: an IPv4 address itself, of IPv6 the /64 that one subscriber has all the addresses of."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    return str(found.ipv4_mapped or ipaddress.ip_network((found.packed[:8] + bytes(8), 64)))


def address_of(request: HttpRequest) -> str:
    """The caller's IP address: the peer's, or, behind the one proxy `KM_TRUST_PROXY` vouches for, what that one saw."""
    forwarded: str = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if settings.TRUST_PROXY and forwarded:
        return forwarded.rsplit(",", 1)[-1].strip()
    return str(request.META.get("REMOTE_ADDR", ""))
