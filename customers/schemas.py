"""The bodies of this room's addresses, as they cross the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from km_protocol.claims import SubscriptionStatus

from customers.models import ApiKey, default_scopes

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class ExchangeRequest(msgspec.Struct):
    """An API key under any of the three names clients use. Other fields are ignored."""

    ApiKey: str | None = None
    api_key: str | None = None
    apiKey: str | None = None

    def key(self) -> str | None:
        """The key, by whichever name it came."""
        return next((key for key in (self.ApiKey, self.api_key, self.apiKey) if key is not None), None)


class TokenAnswer(msgspec.Struct):
    """A token and the seconds it is good for, under both names clients read."""

    jwt: str
    expiresIn: int
    expires_in: int


class CustomerAnswer(msgspec.Struct):
    """Who the caller is."""

    customer_id: str
    name: str
    tier: str
    status: SubscriptionStatus
    features: list[str]
    created_at: Moment
    key_id: str
    scopes: list[str]


class Quota(msgspec.Struct):
    """A limit and what is left of it until `resets_at`; nulls where there is no limit."""

    limit: int | None
    used: int
    remaining: int | None
    resets_at: Moment


class StatusAnswer(msgspec.Struct):
    """What the caller may use now; `lease` says the same, signed, for when there is no network."""

    customer_id: str
    tier: str
    status: SubscriptionStatus
    premium: bool
    features: list[str]
    quotas: dict[str, Quota]
    lease: str
    next_refresh: Moment


class KeyAnswer(msgspec.Struct):
    """An API key without the key."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None
    revoked_at: Moment | None
    replaced_by: str | None


class IssuedKey(msgspec.Struct):
    """A new key. `secret` is shown this once."""

    key: KeyAnswer
    secret: str


class KeyPage(msgspec.Struct):
    """Keys, newest first; `next` is the cursor of the next page."""

    keys: list[KeyAnswer]
    next: str | None


class IssueRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A key to be made. Without `scopes` it may send and read events; without `expires_at` it does not expire."""

    name: str
    scopes: list[str] = msgspec.field(default_factory=default_scopes)
    expires_at: Moment | None = None


class LeakReport(msgspec.Struct, forbid_unknown_fields=True):
    """A key somebody found where it should not be."""

    key: str


class Done(msgspec.Struct):
    """It is done."""

    success: bool = True


def key_answer(key: ApiKey) -> KeyAnswer:
    """`key` as the API shows it. Read it with `select_related("replaced_by")`."""
    return KeyAnswer(
        id=key.public_id,
        name=key.name,
        prefix=key.prefix,
        scopes=key.scopes,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
        replaced_by=key.replaced_by.public_id if key.replaced_by else None,
    )
