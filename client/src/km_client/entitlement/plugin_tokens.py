"""The tokens that plugins show to the server: one for each plugin, for minutes.

    token = prove("eyJ…", identity=PluginIdentity("api-logger", "1.0.0", ""), keys=jwks, customer_id="cus_…", at=now)
    token.lives(at=now)

A plugin checks its token with this machine's clock, so one that it would refuse is not handed out. A clock that is
behind the server's makes a token wait until it counts, one that is ahead ends it early; the lease bridges both.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

import msgspec
from km_plugin_sdk.errors import TokenError
from km_plugin_sdk.tokens import validate_token
from km_protocol.claims import LEEWAY_SECONDS

MARGIN_SECONDS = 30.0  # a token should outlive the request that it is used for


class PluginIdentity(NamedTuple):
    """Which plugin asks. `signature` is that of its package; empty for one that nobody signed."""

    name: str
    version: str
    signature: str


class PluginToken(NamedTuple):
    """A verified token. Times are the server's, in Unix seconds."""

    text: str
    iat: int
    exp: int

    def lives(self, *, at: float) -> bool:
        """Whether a plugin that gets it now would accept it, and for a while."""
        return self.iat - LEEWAY_SECONDS <= at < self.exp - MARGIN_SECONDS

    def is_half_spent(self, *, at: float) -> bool:
        return at >= (self.iat + self.exp) / 2


class _Times(msgspec.Struct):
    iat: int


def prove(text: str, *, identity: PluginIdentity, keys: str, customer_id: str, at: float) -> PluginToken:
    """`text` as a token of this plugin and customer. Raises `TokenError`, except for one of the near future."""
    moment = max(at, _made_at(text))
    claims = validate_token(text, keys=keys, plugin_name=identity.name, customer_id=customer_id, at=moment)
    return PluginToken(text, claims.iat, claims.exp)


def _made_at(text: str) -> int:
    """When a token says that it was made, not verified yet: `validate_token` does that with the same bytes."""
    try:
        payload = text.split(".")[1]
        return msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=_Times).iat
    except (IndexError, binascii.Error, ValueError, RecursionError):
        raise TokenError("malformed", "what the server gave as a plugin's token is none") from None
