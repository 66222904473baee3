"""The plugin's token: a JWT that says which customer this plugin runs for and what it may use.

    claims = validate_token(config.jwt, keys=jwks_json, plugin_name="api-logger", customer_id="cus_…", at=now)

Only EdDSA (Ed25519) with a key of the given set, chosen by `kid`, is accepted: `alg: none`, HS256 with a public key as
the secret, a key or a URL inside the token itself and critical extensions are all refused, as are another customer's
token, another plugin's, an expired one and a token of another type. The check needs no network.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from km_protocol.claims import ISSUER, LEEWAY_SECONDS, MAX_TOKEN_BYTES, TOKEN_TYPE

from km_plugin_sdk.errors import TokenError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from jwt.types import Options

MAX_KEYS = 32  # a set under rotation holds two or three
_HINT = "the host renews it; if this stays, run `km-client login` again and check this machine's clock"


class Claims(msgspec.Struct, frozen=True):
    """What a valid token says. Times are Unix seconds; unknown claims are ignored, so that a server may add some."""

    customer_id: str
    tier: str
    features: list[str]
    iat: int
    exp: int
    jti: str
    iss: Literal["kilometers"]
    aud: str
    sub: str = ""
    nbf: Annotated[int, msgspec.Meta(ge=0)] = 0


@dataclass(frozen=True, slots=True)
class _Header:
    kid: str


def audience(plugin_name: str) -> str:
    """Whom a plugin's token is for: `km:plugin:api-logger`."""
    return f"km:plugin:{plugin_name}"


def validate_token(token: str, *, keys: str, plugin_name: str, customer_id: str, at: float) -> Claims:
    """The claims of `token` when it holds at Unix second `at`. `keys` is a JWK Set as JSON. Raises `TokenError`."""
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenError("malformed", f"the plugin's token has {len(token)} bytes; at most {MAX_TOKEN_BYTES} are read")
    header = _header(token)
    claims = _verified(token, _key(keys, header.kid))
    _check_time(claims, at)
    if claims.aud != audience(plugin_name):
        raise TokenError("wrong_audience", f"the token is for `{claims.aud}`, not for `{audience(plugin_name)}`", _HINT)
    if claims.customer_id != customer_id:
        raise TokenError(
            "wrong_customer", f"the token is of customer `{claims.customer_id}`, not `{customer_id}`", _HINT
        )
    return claims


def _header(token: str) -> _Header:
    import jwt  # noqa: PLC0415 - 40 ms that a plugin without a token need not spend

    try:
        header: dict[str, Any] = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise TokenError("malformed", f"the plugin's token is not a JWT: {error}", _HINT) from None
    if header.get("alg") != "EdDSA":
        raise TokenError("wrong_algorithm", f"the token is signed with `{header.get('alg')}`; only EdDSA is accepted")
    if header.get("typ") != TOKEN_TYPE:
        raise TokenError("wrong_type", f"the token is a `{header.get('typ')}`, not a `{TOKEN_TYPE}`", _HINT)
    if "crit" in header:
        raise TokenError("malformed", "the token has critical extensions, and none is understood")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise TokenError("unknown_key", "the token does not say which key signed it (`kid`)")
    return _Header(kid)


def _key(keys: str, kid: str) -> Ed25519PublicKey:
    import jwt  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        listed = json.loads(keys)["keys"] if keys else []
        found = [key for key in listed[:MAX_KEYS] if key.get("kid") == kid and key.get("kty") == "OKP"]
        key = jwt.PyJWK(found[0], algorithm="EdDSA").key if found else None
    except (ValueError, TypeError, KeyError, AttributeError, jwt.PyJWTError) as error:
        raise TokenError("bad_keys", f"the host's token keys are not a JWK Set: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise TokenError("unknown_key", f"no Ed25519 key `{kid[:64]}` is known to the host", _HINT)
    return key


def _verified(token: str, key: Ed25519PublicKey) -> Claims:
    import jwt  # noqa: PLC0415

    # Times, audience and issuer are checked here, against the moment that was given, not against this process's clock.
    options: Options = {
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
        "verify_aud": False,
        "verify_iss": False,
    }
    try:
        payload = jwt.decode_complete(token, key, algorithms=["EdDSA"], options=options)["payload"]
    except jwt.PyJWTError as error:
        raise TokenError("bad_signature", f"the plugin's token does not verify: {error}", _HINT) from None
    try:
        return msgspec.convert(payload, Claims)
    except msgspec.ValidationError as error:
        raise TokenError(
            "malformed", f"the plugin's token lacks something: {error}", f"it is not of {ISSUER}"
        ) from None


def _check_time(claims: Claims, at: float) -> None:
    if at >= claims.exp + LEEWAY_SECONDS:
        raise TokenError("expired", f"the plugin's token expired {at - claims.exp:.0f} s ago", _HINT)
    if at < max(claims.iat, claims.nbf) - LEEWAY_SECONDS:
        raise TokenError("not_yet_valid", "the plugin's token was made in the future", _HINT)
