"""Who is calling, proved: `Bearer <API key>` or `Bearer <token>` to a `Principal`.

    principal = authenticate(request.headers.get("Authorization"), now=moment)

A plugin's token proves its customer too, but only where plugins may send (`authenticate_sender`); everywhere else it
is refused, whether or not its proof is remembered. The ingest path asks this for every request, so a proof is
remembered in this process for up to a minute, never past the key's or token's own end (`proofs`). Everything else
reads the rows: a database that cannot be reached raises through (a 503), because "cannot tell" must never read as "go
away".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from km_protocol.claims import LEEWAY_SECONDS, AccessClaims, PluginClaims
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from core import correlation
from core.clock import now as present
from customers import announcements, api_keys, proofs, revocation, tokens
from customers.errors import (
    CustomerSuspended,
    FeatureNotAvailable,
    MissingCredentials,
    MissingScope,
    TokenInvalid,
    TokenRevoked,
)
from customers.models import ApiKey
from customers.queries import entitlement_of
from customers.scopes import Scope

if TYPE_CHECKING:
    from rest_framework.views import APIView

_SCHEME = "bearer "
_SEND = "send `Authorization: Bearer <API key or token>`"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, and what they may do. `events_per_day` is `None` for no limit."""

    customer_id: int  # Customer.pk: what events are stored under
    public_id: str  # "cus_…": what tokens and people see
    name: str
    tier: str  # "free", "pro", "enterprise"
    features: frozenset[str]
    events_per_day: int | None
    retention_days: int
    scopes: frozenset[str]
    token_version: int
    key_id: str = ""  # "key_…": the API key behind the call, also when a token was sent
    plugin: str = ""  # whose token was sent; "" for the customer itself

    @property
    def actor(self) -> str:
        """How the audit log names the caller."""
        return f"key:{self.key_id}"


def authenticate(authorization: str | None, *, now: datetime) -> Principal:
    """Who sent the header `authorization`. Raises `Unauthenticated`, a code for each cause; database errors pass."""
    principal = authenticate_sender(authorization, now=now)
    if principal.plugin:
        raise tokens.refused_here(principal.plugin)
    return principal


def authenticate_sender(authorization: str | None, *, now: datetime) -> Principal:
    """As `authenticate`, and takes a plugin's token: a narrower `Principal`, with `plugin` set."""
    credential = _credential(authorization)
    second = now.timestamp()
    announcements.look()
    known = proofs.remembered(credential, second)
    if known is not None:
        return _identified(known)
    mark = proofs.generation()
    principal, until = _prove(credential, now)
    proofs.remember(credential, principal, now=second, until=until.timestamp(), mark=mark)
    return _identified(principal)


def _identified(principal: Principal) -> Principal:
    """Put the caller on every line this request logs from now on."""
    correlation.identify(customer_id=principal.public_id, key_id=principal.key_id)
    return principal


def require(principal: Principal, scope: str) -> None:
    """Raises `MissingScope` unless `principal` may do `scope`."""
    if scope not in principal.scopes:
        raise MissingScope(
            f"this API key may not do `{scope}`", f"issue a key with the scope `{scope}`, or ask an owner to"
        )


def require_feature(principal: Principal, feature: str) -> None:
    """Raises `FeatureNotAvailable` unless `principal` may use `feature`."""
    if feature not in principal.features:
        raise FeatureNotAvailable(
            f"`{feature}` is not among what {principal.name} may use now (tier `{principal.tier}`)",
            "`GET /api/subscription/status` lists what is; after an upgrade, get a new token",
        )


def _credential(authorization: str | None) -> str:
    if not authorization:
        raise MissingCredentials("there is no `Authorization` header", _SEND)
    if authorization[: len(_SCHEME)].lower() != _SCHEME:
        raise MissingCredentials(
            "the `Authorization` header is not of the scheme `Bearer`",
            _SEND,
        )
    return authorization[len(_SCHEME) :].strip()


def _prove(credential: str, now: datetime) -> tuple[Principal, datetime]:
    """The principal, and when the proof ends by itself."""
    if credential.startswith("km_"):
        claims, key, ends = None, api_keys.find(credential), None
    else:
        claims = tokens.verify_either(credential, at=now)
        key, ends = key_behind(claims), datetime.fromtimestamp(claims.exp + LEEWAY_SECONDS, now.tzinfo)
    principal, changes = principal_of(key, at=now)
    if isinstance(claims, PluginClaims):
        principal = _narrowed(principal, claims)
    moments = (ends, key.expires_at, changes, now + timedelta(seconds=proofs.MAX_AGE_SECONDS))
    api_keys.touch(key, at=now)
    return principal, min(moment for moment in moments if moment is not None)


def _narrowed(principal: Principal, claims: PluginClaims) -> Principal:
    """What is left of `principal` for a plugin: what its token names and still holds, and sending."""
    return replace(
        principal,
        plugin=claims.plugin,
        features=principal.features.intersection(claims.features),
        scopes=principal.scopes & {Scope.EVENTS_WRITE},
    )


def check_standing(key: ApiKey, *, at: datetime) -> None:
    """Raises by cause, all `Unauthenticated`, unless `key` works and its owner is not suspended."""
    api_keys.check_usable(key, at=at)
    if key.customer.suspended_at is not None:
        raise CustomerSuspended(f"{key.customer.name} is suspended", "ask whoever runs this server why")


def principal_of(key: ApiKey, *, at: datetime) -> tuple[Principal, datetime | None]:
    """The caller behind a usable `key`, and when, by the clock alone, what they may do changes."""
    check_standing(key, at=at)
    customer = key.customer
    entitlement = entitlement_of(customer, at=at)
    principal = Principal(
        customer_id=customer.pk,
        public_id=customer.public_id,
        name=customer.name,
        tier=entitlement.tier,
        features=entitlement.features,
        events_per_day=entitlement.events_per_day,
        retention_days=entitlement.retention_days,
        scopes=frozenset(key.scopes),
        token_version=customer.token_version,
        key_id=key.public_id,
    )
    return principal, entitlement.ends_at


def key_behind(claims: AccessClaims) -> ApiKey:
    """The API key a token was made from. Raises `TokenRevoked`, or `TokenInvalid` if its customer has no such key."""
    key = ApiKey.objects.select_related("customer").filter(public_id=claims.client_id).first()
    if key is None or key.customer.public_id != claims.customer_id:
        raise TokenInvalid("the token names a key its customer does not have", "exchange the API key again")
    if key.customer.token_version != claims.ver or revocation.is_revoked(claims.jti):
        raise TokenRevoked("the token was revoked", "get a new token from `POST /api/auth/exchange`")
    return key


@dataclass(frozen=True, slots=True)
class Caller:
    """What DRF and Django's middleware see as `request.user`."""

    principal: Principal
    is_authenticated: bool = True
    is_anonymous: bool = False
    is_active: bool = True

    @property
    def pk(self) -> str:
        return self.principal.public_id

    def __str__(self) -> str:
        return self.principal.name


class BearerAuthentication(BaseAuthentication):
    """`request.auth` is the `Principal`; without credentials, `IsCustomer` decides."""

    def authenticate(self, request: Request) -> tuple[Caller, Principal] | None:
        authorization = request.headers.get("Authorization")
        if not authorization:
            return None
        principal = authenticate(authorization, now=present())
        return Caller(principal), principal

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002
        return 'Bearer realm="kilometers"'


class IsCustomer(BasePermission):
    """Somebody proved to be a customer."""

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002
        if not isinstance(request.auth, Principal):
            raise MissingCredentials("there is no `Authorization` header", _SEND)
        return True


def may(scope: Scope) -> type[BasePermission]:
    """The permission class that asks for `scope`; put it after `IsCustomer`."""

    class MayScope(BasePermission):
        def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002
            principal = request.auth
            assert isinstance(principal, Principal)  # what IsCustomer lets through
            require(principal, scope)
            return True

    return MayScope
