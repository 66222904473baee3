"""Access tokens: EdDSA only, made here and checked here.

    header  {"alg": "EdDSA", "typ": "at+jwt", "kid": "km-20261122-4fKq8ZpL"}
    claims  {"sub": "cus_…", "customer_id": "cus_…", "tier": "Pro", "features": […], "client_id": "key_…", "ver": 1, …}

An HS256 secret in a customer's hands would let that customer mint Enterprise tokens, so no algorithm but EdDSA is
ever tried, and the key is the published one named by `kid`, never one the token brings along. The type keeps a lease
from passing as a token; the audience keeps a plugin's token from passing as its customer's, and the other way round.
What is checked, in order: size, header, key, signature, claims, whom it is for, time. So a token that is called expired
was right in everything else. What verifies proves who signed and that it still counts; whether it was revoked is
`authentication`'s question.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import jwt
import msgspec
from django.conf import settings
from jwt.api_jws import PyJWS
from jwt.utils import base64url_decode
from km_protocol.claims import (
    LEASE_TYPE,
    LEEWAY_SECONDS,
    MAX_TOKEN_BYTES,
    PLUGIN_AUDIENCE,
    PLUGIN_TOKEN_SECONDS,
    TOKEN_TYPE,
    AccessClaims,
    CustomerClaims,
    Lease,
    PluginClaims,
    plugin_audience,
)

from core.ids import public_id
from customers import signing_keys
from customers.entitlements import Entitlement
from customers.errors import (
    BadSignature,
    NotYetValid,
    TokenExpired,
    TokenInvalid,
    UnknownSigningKey,
    WrongAlgorithm,
    WrongCustomer,
    WrongPlugin,
    WrongType,
)
from customers.models import ApiKey

_EXCHANGE_AGAIN = "get a new token from `POST /api/auth/exchange`"
_AUTHENTICATE_AGAIN = "get a new token from `POST /api/plugins/authenticate`"
Claims = TypeVar("Claims", bound=AccessClaims)


class Minted(NamedTuple):
    """A token and how many seconds it is good for."""

    token: str
    expires_in: int


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    alg: str = ""
    typ: str = ""
    kid: str = ""


class _Audience(msgspec.Struct):
    aud: str


_HEADER = msgspec.json.Decoder(_Header)
_AUDIENCE = msgspec.json.Decoder(_Audience)
_CUSTOMER = msgspec.json.Decoder(CustomerClaims)
_PLUGIN = msgspec.json.Decoder(PluginClaims)
_JWS = PyJWS(algorithms=["EdDSA"])


def mint(key: ApiKey, entitlement: Entitlement, *, at: datetime) -> Minted:
    """A token for the owner of `key`. It ends with the key, or with what it promises, if that is sooner."""
    common = _common(key, entitlement, timedelta(seconds=settings.TOKEN_SECONDS), at)
    return _minted(CustomerClaims(**common, aud="km:api"), at)


def mint_plugin_token(key: ApiKey, entitlement: Entitlement, *, plugin: str, version: str, at: datetime) -> Minted:
    """A token for the plugin `plugin`, run by the owner of `key`: for 15 minutes, or until what `mint` says."""
    common = _common(key, entitlement, timedelta(seconds=PLUGIN_TOKEN_SECONDS), at)
    return _minted(PluginClaims(**common, aud=plugin_audience(plugin), plugin_version=version), at)


def sign_lease(lease: Lease, *, at: datetime) -> str:
    """`lease` as a signed token of its own type."""
    return _sign(msgspec.to_builtins(lease), LEASE_TYPE, at)


def verify(token: str, *, at: datetime) -> CustomerClaims:
    """What a customer's `token` says, proved. Raises `TokenInvalid` or `TokenExpired`; no message repeats it."""
    claims = verify_either(token, at=at)
    if isinstance(claims, PluginClaims):
        raise refused_here(claims.plugin)
    return claims


def verify_plugin_token(token: str, *, plugin: str, customer_id: str, at: datetime) -> PluginClaims:
    """What the token of `plugin` run by the customer `customer_id` says, proved. Raises as `verify`, by cause."""
    payload = _proved(token, at, _AUTHENTICATE_AGAIN)
    if not _is_plugins(payload):
        raise WrongPlugin("the token is not a plugin's", _AUTHENTICATE_AGAIN)
    claims = _decode(_PLUGIN, payload, _AUTHENTICATE_AGAIN)
    if claims.customer_id != customer_id:
        raise WrongCustomer("the token is another customer's", _AUTHENTICATE_AGAIN)
    if claims.plugin != plugin:
        raise WrongPlugin(f"the token is for `{claims.plugin}`, not for `{plugin}`", _AUTHENTICATE_AGAIN)
    return _check_time(claims, at, _AUTHENTICATE_AGAIN)


def verify_either(token: str, *, at: datetime) -> CustomerClaims | PluginClaims:
    """What a customer's or a plugin's `token` says, proved. Raises as `verify`."""
    payload = _proved(token, at, _EXCHANGE_AGAIN)
    if _is_plugins(payload):
        return _check_time(_decode(_PLUGIN, payload, _AUTHENTICATE_AGAIN), at, _AUTHENTICATE_AGAIN)
    return _check_time(_decode(_CUSTOMER, payload, _EXCHANGE_AGAIN), at, _EXCHANGE_AGAIN)


def refused_here(plugin: str) -> TokenInvalid:
    """The token of `plugin` at an address that is not for plugins."""
    return TokenInvalid(
        f"this is a token of the plugin `{plugin}`, which only `POST /api/events` takes",
        f"send an API key, or {_EXCHANGE_AGAIN}",
    )


def _common(key: ApiKey, entitlement: Entitlement, longest: timedelta, at: datetime) -> dict[str, Any]:
    """The claims that every access token has. It ends with the key and with what it promises, at the latest."""
    ends = min(moment for moment in (at + longest, key.expires_at, entitlement.ends_at) if moment is not None)
    issued_at = int(at.timestamp())
    return {
        "sub": key.customer.public_id,
        "customer_id": key.customer.public_id,
        "tier": entitlement.tier_name,
        "features": sorted(entitlement.features),
        "iat": issued_at,
        "exp": max(int(ends.timestamp()), issued_at + 1),
        "jti": public_id("tok"),
        "iss": "kilometers",
        "ver": key.customer.token_version,
        "client_id": key.public_id,
    }


def _minted(claims: AccessClaims, at: datetime) -> Minted:
    return Minted(_sign(msgspec.to_builtins(claims), TOKEN_TYPE, at), claims.exp - claims.iat)


def _sign(claims: dict[str, object], kind: str, at: datetime) -> str:
    signer = signing_keys.signer(at=at)
    return jwt.encode(claims, signer.private_key, algorithm="EdDSA", headers={"kid": signer.kid, "typ": kind})


def _proved(token: str, at: datetime, again: str) -> bytes:
    """The claims of `token` as they were signed, by us. `again` is the next step where it was not."""
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenInvalid(f"the token is longer than {MAX_TOKEN_BYTES} bytes", again)
    kid = _kid(token, again)
    key = signing_keys.verifier(kid, at=at)
    if key is None:
        raise UnknownSigningKey("the token names a signing key this server does not publish", again)
    try:
        payload: bytes = _JWS.decode(token, key, algorithms=["EdDSA"])
    except jwt.PyJWTError:
        raise BadSignature("the token's signature does not match: it was changed, or forged", again) from None
    return payload


def _kid(token: str, again: str) -> str:
    """Which key is said to have signed, once the header says nothing else that matters."""
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenInvalid("this is neither an API key nor a token", "send `Bearer <API key>` or `Bearer <token>`")
    try:
        header = _HEADER.decode(base64url_decode(parts[0]))
    except (ValueError, RecursionError) as error:  # msgspec's errors and base64's are ValueErrors
        cause = str(error) if isinstance(error, msgspec.ValidationError) else "not base64url of JSON"
        raise TokenInvalid(f"the token's header is refused: {cause}", again) from None
    if header.alg != "EdDSA":
        raise WrongAlgorithm("the token's header is refused: only `EdDSA` is accepted - at `$.alg`", again)
    if header.typ != TOKEN_TYPE:
        raise WrongType(f"the token's header is refused: it is no `{TOKEN_TYPE}` - at `$.typ`", again)
    return header.kid


def _is_plugins(payload: bytes) -> bool:
    """Whether the claims are said to be a plugin's; which plugin's, and all else, is still to be checked."""
    try:
        return _AUDIENCE.decode(payload).aud.startswith(PLUGIN_AUDIENCE)
    except (ValueError, RecursionError):
        return False  # then they are no customer's either, and decoding them says why


def _decode(decoder: msgspec.json.Decoder[Claims], payload: bytes, again: str) -> Claims:
    try:
        claims = decoder.decode(payload)
    except (ValueError, RecursionError) as error:
        raise TokenInvalid(f"the token's claims are refused: {error}", again) from None
    if claims.sub != claims.customer_id:
        raise TokenInvalid("the token's `sub` and `customer_id` differ", again)
    return claims


def _check_time(claims: Claims, at: datetime, again: str) -> Claims:
    now = at.timestamp()
    if claims.exp <= now - LEEWAY_SECONDS:
        raise TokenExpired("the token has expired", again)
    if claims.iat > now + LEEWAY_SECONDS:
        raise NotYetValid("the token was issued in the future", "set this machine's clock, then get a new token")
    return claims
