"""An API key for a token: what every client does first.

    {"ApiKey": "km_live_…"} → {"jwt": "eyJ…", "expiresIn": 3600, "expires_in": 3600}

Failures are counted by address, and by address and key prefix, so that one misconfigured machine in an office does not
use up the patience meant for all of them. A success costs nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from km_protocol.api_keys import DISPLAY_LENGTH

from core.errors import InvalidRequest, Unauthenticated
from core.throttling import FailureLimit
from customers import api_keys, tokens
from customers.authentication import check_standing
from customers.queries import entitlement_of
from customers.tokens import Minted

BY_ADDRESS = FailureLimit("exchange-address", failures=300, window=timedelta(minutes=5))
BY_KEY = FailureLimit("exchange-key", failures=60, window=timedelta(minutes=5))
"""A client that retries every five seconds still reads what is wrong with its key; a tight loop does not."""


class MissingApiKey(InvalidRequest):
    code = "missing_api_key"


def exchange(secret: str | None, *, address: str, at: datetime) -> Minted:
    """A token for the key `secret`. Raises `Unauthenticated` by cause, `MissingApiKey`, `TooManyRequests`."""
    if secret is None:
        raise MissingApiKey("the body has no API key", 'send {"ApiKey": "km_live_…"}')
    pair = f"{address} {secret[:DISPLAY_LENGTH]}"
    BY_ADDRESS.check(address, now=at)
    BY_KEY.check(pair, now=at)
    try:
        return _mint(secret, at)
    except Unauthenticated:
        BY_ADDRESS.count(address, now=at)
        BY_KEY.count(pair, now=at)
        raise


def _mint(secret: str, at: datetime) -> Minted:
    key = api_keys.find(secret)
    check_standing(key, at=at)
    minted = tokens.mint(key, entitlement_of(key.customer, at=at), at=at)
    api_keys.touch(key, at=at)
    return minted
