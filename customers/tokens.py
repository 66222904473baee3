"""Access tokens: EdDSA only, made here and checked here.

    header  {"alg": "EdDSA", "typ": "at+jwt", "kid": "km-20261122-4fKq8ZpL"}
    claims  {"sub": "cus_…", "customer_id": "cus_…", "tier": "Pro", "features": […], "client_id": "key_…", "ver": 1, …}

An HS256 secret in a customer's hands would let that customer mint Enterprise tokens, so no algorithm but EdDSA is
ever tried, and the key is the published one named by `kid`, never one the token brings along. The type keeps a lease
from passing as a token. What is checked, in order: size, header, key, signature, claims, time.
`verify` proves who signed and that it still counts; whether it was revoked is `authentication`'s question.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import jwt
import msgspec
from django.conf import settings
from jwt.api_jws import PyJWS
from jwt.utils import base64url_decode
from km_protocol.claims import LEASE_TYPE, LEEWAY_SECONDS, MAX_TOKEN_BYTES, TOKEN_TYPE, CustomerClaims, Lease

from core.ids import public_id
from customers import signing_keys
from customers.entitlements import Entitlement
from customers.errors import TokenExpired, TokenInvalid
from customers.models import ApiKey

_EXCHANGE_AGAIN = "get a new token from `POST /api/auth/exchange`"


class Minted(NamedTuple):
    """A token and how many seconds it is good for."""

    token: str
    expires_in: int


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    alg: Literal["EdDSA"]
    typ: Literal["at+jwt"]
    kid: str


_HEADER = msgspec.json.Decoder(_Header)
_CLAIMS = msgspec.json.Decoder(CustomerClaims)
_JWS = PyJWS(algorithms=["EdDSA"])


def mint(key: ApiKey, entitlement: Entitlement, *, at: datetime) -> Minted:
    """A token for the owner of `key`. It ends with the key, or with what it promises, if that is sooner."""
    ends = at + timedelta(seconds=settings.TOKEN_SECONDS)
    ends = min(moment for moment in (ends, key.expires_at, entitlement.ends_at) if moment is not None)
    issued_at = int(at.timestamp())
    claims = CustomerClaims(
        sub=key.customer.public_id,
        customer_id=key.customer.public_id,
        tier=entitlement.tier_name,
        features=sorted(entitlement.features),
        iat=issued_at,
        exp=max(int(ends.timestamp()), issued_at + 1),
        jti=public_id("tok"),
        iss="kilometers",
        aud="km:api",
        ver=key.customer.token_version,
        client_id=key.public_id,
    )
    return Minted(_sign(msgspec.to_builtins(claims), TOKEN_TYPE, at), claims.exp - issued_at)


def sign_lease(lease: Lease, *, at: datetime) -> str:
    """`lease` as a signed token of its own type."""
    return _sign(msgspec.to_builtins(lease), LEASE_TYPE, at)


def verify(token: str, *, at: datetime) -> CustomerClaims:
    """What `token` says, proved. Raises `TokenInvalid` or `TokenExpired`; no message repeats any of the token."""
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenInvalid(f"the token is longer than {MAX_TOKEN_BYTES} bytes", _EXCHANGE_AGAIN)
    header = _header(token)
    key = signing_keys.verifier(header.kid, at=at)
    if key is None:
        raise TokenInvalid("the token names a signing key this server does not publish", _EXCHANGE_AGAIN)
    try:
        payload = _JWS.decode(token, key, algorithms=["EdDSA"])
    except jwt.PyJWTError:
        raise TokenInvalid("the token's signature does not match: it was changed, or forged", _EXCHANGE_AGAIN) from None
    return _check_time(_decode_claims(payload), at)


def _sign(claims: dict[str, object], kind: str, at: datetime) -> str:
    signer = signing_keys.signer(at=at)
    return jwt.encode(claims, signer.private_key, algorithm="EdDSA", headers={"kid": signer.kid, "typ": kind})


def _header(token: str) -> _Header:
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenInvalid("this is neither an API key nor a token", "send `Bearer <API key>` or `Bearer <token>`")
    try:
        return _HEADER.decode(base64url_decode(parts[0]))
    except (ValueError, RecursionError) as error:  # msgspec's errors and base64's are ValueErrors
        cause = str(error) if isinstance(error, msgspec.ValidationError) else "not base64url of JSON"
        raise TokenInvalid(f"the token's header is refused: {cause}", _EXCHANGE_AGAIN) from None


def _decode_claims(payload: bytes) -> CustomerClaims:
    try:
        claims = _CLAIMS.decode(payload)
    except (ValueError, RecursionError) as error:
        raise TokenInvalid(f"the token's claims are refused: {error}", _EXCHANGE_AGAIN) from None
    if claims.sub != claims.customer_id:
        raise TokenInvalid("the token's `sub` and `customer_id` differ", _EXCHANGE_AGAIN)
    return claims


def _check_time(claims: CustomerClaims, at: datetime) -> CustomerClaims:
    now = at.timestamp()
    if claims.exp <= now - LEEWAY_SECONDS:
        raise TokenExpired("the token has expired", _EXCHANGE_AGAIN)
    if claims.iat > now + LEEWAY_SECONDS:
        raise TokenInvalid("the token was issued in the future", "set this machine's clock, then get a new token")
    return claims
