"""What the server signed for a plugin: its token, and the lease that stands in for it while there is no network.

    claims = validate_token(config.jwt, keys=jwks_json, plugin_name="api-logger", customer_id="cus_…", at=now)
    lease = validate_lease(message.lease, keys=jwks_json, customer_id="cus_…", at=now)

Only EdDSA (Ed25519) with a key of the given set, chosen by `kid`, is accepted: `alg: none`, HS256 with a public key as
the secret, a key or a URL inside the token itself and critical extensions are all refused, as are another customer's
token, another plugin's, an expired one, and a lease or any other type where a token belongs (and the other way round).
Who a token is for is checked before its times: `expired` is only said of one that was right. No check needs a network.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec
from km_protocol.claims import (
    ISSUER,
    LEASE_AUDIENCE,
    LEASE_TYPE,
    LEEWAY_SECONDS,
    MAX_TOKEN_BYTES,
    TOKEN_TYPE,
    Lease,
    LeaseState,
    evaluate,
    plugin_audience,
)

from km_plugin_sdk.errors import TokenError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from jwt.types import Options

T = TypeVar("T")
_NAMES = {TOKEN_TYPE: "the plugin's token", LEASE_TYPE: "the lease"}
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


def validate_token(token: str, *, keys: str, plugin_name: str, customer_id: str, at: float) -> Claims:
    """The claims of `token` when it holds at Unix second `at`. `keys` is a JWK Set as JSON. Raises `TokenError`."""
    claims = _converted(_payload(token, keys, TOKEN_TYPE), Claims)
    _check_audience(claims.aud, plugin_audience(plugin_name))
    _check_customer(claims.customer_id, customer_id)
    _check_time(claims, at)
    return claims


def read_lease(lease: str, *, keys: str, customer_id: str | None = None) -> Lease:
    """What a genuine lease says, whether or not it allows anything now. Raises `TokenError`.

    For a reader who evaluates it again and again, or shows why it allows nothing. None: any customer's.
    """
    payload = _payload(lease, keys, LEASE_TYPE)
    _check_audience(payload.get("aud"), LEASE_AUDIENCE)
    said = _converted(payload, Lease)
    if customer_id is not None:
        _check_customer(said.sub, customer_id)
    return said


def validate_lease(
    lease: str,
    *,
    keys: str,
    customer_id: str | None,
    at: float,
    floor: float = 0,
    machine: str | None = None,
) -> Lease:
    """A genuine lease that allows its features at Unix second `at`. Raises `TokenError`.

    The reason is `read_lease`'s, or the `LeaseState` in which it allows nothing (`expired`, `suspended`, …). `machine`
    None: whoever asks cannot know which machine this is, and the host that passes the lease on has checked it.
    """
    said = read_lease(lease, keys=keys, customer_id=customer_id)
    verdict = evaluate(said, at=int(at), floor=int(floor), machine=said.machine if machine is None else machine)
    if not verdict.allowed:
        raise TokenError(verdict.state.value, f"the lease allows nothing now: {_WHY[verdict.state]}", _HINT)
    return said


_WHY = {
    LeaseState.EXPIRED: "the time for working without the server is over",
    LeaseState.SUSPENDED: "the subscription is unpaid or paused",
    LeaseState.REVOKED: "the subscription was canceled",
    LeaseState.NOT_YET_VALID: "it was made in the future",
    LeaseState.CLOCK_SET_BACK: "this machine's clock was set back",
    LeaseState.WRONG_MACHINE: "it is another machine's",
}


def _payload(token: str, keys: str, kind: str) -> dict[str, Any]:
    """The claims of a token of type `kind`, signed by a key of the set; nothing in them is checked yet."""
    import jwt  # noqa: PLC0415 - 40 ms that a plugin without a token need not spend

    if len(token) > MAX_TOKEN_BYTES:
        raise TokenError("malformed", f"{_NAMES[kind]} has {len(token)} bytes; at most {MAX_TOKEN_BYTES} are read")
    key = _key(keys, _key_id(token, kind))
    # Times, audience and issuer are checked here, against the moment that was given, not against this process's clock.
    options: Options = {
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
        "verify_aud": False,
        "verify_iss": False,
        "verify_sub": False,
        "verify_jti": False,
    }
    try:
        payload: dict[str, Any] = jwt.decode_complete(token, key, algorithms=["EdDSA"], options=options)["payload"]
    except jwt.PyJWTError as error:
        raise TokenError("bad_signature", f"{_NAMES[kind]} does not verify: {error}", _HINT) from None
    if payload.get("iss") != ISSUER:  # the lease's type has a default, which a signed text must not lean on
        raise TokenError("malformed", f"{_NAMES[kind]} is not of {ISSUER}", _HINT)
    return payload


def _key_id(token: str, kind: str) -> str:
    """Which key the token's header names, once the header is one of ours."""
    import jwt  # noqa: PLC0415

    try:
        header: dict[str, Any] = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise TokenError("malformed", f"{_NAMES[kind]} is not a JWT: {error}", _HINT) from None
    if header.get("alg") != "EdDSA":
        raise TokenError(
            "wrong_algorithm", f"{_NAMES[kind]} is signed with `{header.get('alg')}`; only EdDSA is accepted"
        )
    if header.get("typ") != kind:
        raise TokenError("wrong_type", f"{_NAMES[kind]} is a `{header.get('typ')}`, not a `{kind}`", _HINT)
    if "crit" in header:
        raise TokenError("malformed", f"{_NAMES[kind]} has critical extensions, and none is understood")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise TokenError("unknown_key", f"{_NAMES[kind]} does not say which key signed it (`kid`)")
    return kid


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


def _converted(payload: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(payload, kind)
    except msgspec.ValidationError as error:
        raise TokenError("malformed", f"what was signed is not what it should be: {error}", _HINT) from None


def _check_audience(said: object, ours: str) -> None:
    if said != ours:
        raise TokenError("wrong_audience", f"it was signed for `{said}`, not for `{ours}`", _HINT)


def _check_customer(said: str, ours: str) -> None:
    if said != ours:
        raise TokenError("wrong_customer", f"it was signed for customer `{said}`, not `{ours}`", _HINT)


def _check_time(claims: Claims, at: float) -> None:
    if at >= claims.exp + LEEWAY_SECONDS:
        raise TokenError("expired", f"the plugin's token expired {at - claims.exp:.0f} s ago", _HINT)
    if at < max(claims.iat, claims.nbf) - LEEWAY_SECONDS:
        raise TokenError("not_yet_valid", "the plugin's token was made in the future", _HINT)
