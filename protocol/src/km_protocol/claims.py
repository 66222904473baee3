"""What a token and a lease say, and what a lease allows at a moment.

Token claims (JWT, EdDSA only): `sub, customer_id, tier, features, iat, exp, jti, iss, aud, ver, client_id`. A plugin's
token has `plugin_version` too, and names the plugin in its audience: `km:plugin:api-logger`.
A lease is the signed answer to "what may this laptop run while it cannot reach the server?"; `evaluate` is pure, so
the same table of cases can test it in any language. Times are Unix seconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from km_protocol.kmpkg import names, versions

ISSUER = "kilometers"
API_AUDIENCE = "km:api"
TOKEN_TYPE = "at+jwt"  # RFC 9068: keeps an access token from being read as anything else  # noqa: S105
PLUGIN_AUDIENCE = "km:plugin:"  # the plugin's name follows
PLUGIN_TOKEN_SECONDS = 15 * 60  # three refreshes: one may fail and the next still renews it in time
LEASE_TYPE = "km-lease+jwt"
LEASE_AUDIENCE = "km:lease"
MAX_TOKEN_BYTES = 8 * 1024
LEEWAY_SECONDS = 30  # clocks of two machines
REFRESH_SECONDS = 5 * 60
LEASE_SECONDS = 24 * 3600
GRACE_SECONDS = 7 * 24 * 3600
CLOCK_SKEW_SECONDS = 300  # a laptop's clock may be this wrong before it counts as set back

SubscriptionStatus = Literal["trialing", "active", "past_due", "unpaid", "paused", "canceled"]


_PluginAudience = Annotated[
    str,
    msgspec.Meta(pattern=rf"\A{PLUGIN_AUDIENCE}{names.PATTERN}\Z", max_length=len(PLUGIN_AUDIENCE) + names.MAX_LENGTH),
]


def plugin_audience(name: str) -> str:
    """Whom the token of the plugin `name` is for: `km:plugin:api-logger`."""
    return f"{PLUGIN_AUDIENCE}{name}"


class AccessClaims(msgspec.Struct, forbid_unknown_fields=True):
    """What every access token says. `ver` is the customer's token version: raising it revokes them all.

    `client_id` (required by RFC 9068) is the id of the API key it was made from: its scopes are the token's, and
    revoking the key revokes the token.
    """

    sub: str
    customer_id: str
    tier: str
    features: list[str]
    iat: int
    exp: int
    jti: str
    iss: Literal["kilometers"]
    ver: Annotated[int, msgspec.Meta(ge=0)]
    client_id: str


class CustomerClaims(AccessClaims, forbid_unknown_fields=True):
    """The claims of a customer's access token."""

    aud: Literal["km:api"]


class PluginClaims(AccessClaims, forbid_unknown_fields=True):
    """The claims of a plugin's token: its customer's, and for which plugin it was made."""

    aud: _PluginAudience
    plugin_version: Annotated[str, msgspec.Meta(min_length=1, max_length=versions.MAX_LENGTH)]

    @property
    def plugin(self) -> str:
        """The plugin's name."""
        return self.aud.removeprefix(PLUGIN_AUDIENCE)


class Lease(msgspec.Struct):
    """What may run offline. `plugins` maps a plugin's name to the features it may use; `seq` only ever grows.

    Claims that are not here are passed over: a client in the field must go on reading the leases of a later server.
    """

    sub: str
    iat: int
    refresh_after: int
    exp: int
    grace_until: int
    status: SubscriptionStatus
    tier: str
    features: list[str]
    plugins: dict[str, list[str]]
    quotas: dict[str, int]
    machine: str
    seq: int
    iss: Literal["kilometers"] = "kilometers"
    aud: Literal["km:lease"] = "km:lease"


class LeaseState(StrEnum):
    """Why a lease does or does not allow something."""

    VALID = "valid"
    REFRESH_DUE = "refresh_due"
    GRACE = "grace"
    EXPIRED = "expired"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    NOT_YET_VALID = "not_yet_valid"
    CLOCK_SET_BACK = "clock_set_back"
    WRONG_MACHINE = "wrong_machine"


class LeaseVerdict(msgspec.Struct, frozen=True):
    """What holds now. `features` is empty unless `allowed`."""

    state: LeaseState
    features: frozenset[str] = frozenset()

    @property
    def allowed(self) -> bool:
        return self.state in {LeaseState.VALID, LeaseState.REFRESH_DUE, LeaseState.GRACE}


def evaluate(lease: Lease, *, at: int, floor: int, machine: str) -> LeaseVerdict:
    """What `lease` allows at Unix second `at` on `machine`.

    `floor` is the newest signed time this machine has seen: a clock set back below it does not revive a lease.
    """
    state = _state(lease, at, floor, machine)
    verdict = LeaseVerdict(state)
    return LeaseVerdict(state, frozenset(lease.features)) if verdict.allowed else verdict


def _state(lease: Lease, at: int, floor: int, machine: str) -> LeaseState:
    if at < floor - CLOCK_SKEW_SECONDS:
        return LeaseState.CLOCK_SET_BACK
    if at < lease.iat - CLOCK_SKEW_SECONDS:
        return LeaseState.NOT_YET_VALID
    if lease.machine and lease.machine != machine:
        return LeaseState.WRONG_MACHINE
    if lease.status == "canceled":
        return LeaseState.REVOKED
    if lease.status in {"unpaid", "paused"}:
        return LeaseState.SUSPENDED
    if at >= lease.grace_until:
        return LeaseState.EXPIRED
    if at >= lease.exp:
        return LeaseState.GRACE
    return LeaseState.REFRESH_DUE if at >= lease.refresh_after else LeaseState.VALID
