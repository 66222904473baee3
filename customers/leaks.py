"""A key found where it should not be: revoked on the word of whoever found it, because they hold it.

The answer is the same whether the key existed, so nobody learns from it which keys do.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from core.throttling import FailureLimit
from customers import api_keys
from customers.errors import MalformedApiKey, UnknownApiKey

REPORTS = FailureLimit("leak-report", failures=60, window=timedelta(minutes=5))  # a scanner reports a handful at once


def report(secret: str, *, address: str, at: datetime) -> None:
    """Revoke the key `secret`, if it is one of ours. Raises `TooManyRequests`."""
    REPORTS.check(address, now=at)
    REPORTS.count(address, now=at)
    try:
        key = api_keys.find(secret.strip())
    except (MalformedApiKey, UnknownApiKey):
        return  # not ours: the reporter is told the same
    api_keys.revoke(key, at=at, actor="leak-report", reason=f"reported from {address}")
