"""Sign plugin tokens and leases as the server does, and publish the key they verify with.

issuer = TokenIssuer()
token = issuer.token(plugin_name="api-logger", customer_id="cus_1", features=["api_logging"], at=1_800_000_000)
validate_token(token, keys=issuer.jwks, …)
lease = issuer.lease(customer_id="cus_1", features=["api_logging"], tier="Pro", at=1_800_000_000)
validate_lease(lease, keys=issuer.jwks, …)
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from km_protocol.claims import (
    GRACE_SECONDS,
    ISSUER,
    LEASE_AUDIENCE,
    LEASE_SECONDS,
    LEASE_TYPE,
    PLUGIN_TOKEN_SECONDS,
    REFRESH_SECONDS,
    TOKEN_TYPE,
    plugin_audience,
)


class TokenIssuer:
    """One Ed25519 key. `jwks` is the JWK Set a host hands to its plugins."""

    def __init__(self, kid: str = "test-key") -> None:
        self.kid = kid
        self.key = Ed25519PrivateKey.generate()

    @property
    def jwks(self) -> str:
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        x = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        return json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "use": "sig", "x": x}]})

    def token(
        self,
        *,
        plugin_name: str,
        customer_id: str,
        at: float,
        features: Sequence[str] = ("console_logging",),
        tier: str = "Free",
        **changed: Any,
    ) -> str:
        """A token made at Unix second `at`. `changed` replaces claims; a claim set to None is left out."""
        claims = {
            "sub": customer_id,
            "customer_id": customer_id,
            "tier": tier,
            "features": list(features),
            "iat": int(at),
            "exp": int(at) + PLUGIN_TOKEN_SECONDS,
            "jti": f"jti-{int(at)}",
            "iss": ISSUER,
            "aud": plugin_audience(plugin_name),
            **changed,
        }
        return self._signed(claims, TOKEN_TYPE)

    def lease(
        self,
        *,
        customer_id: str,
        at: float,
        features: Sequence[str] = ("console_logging",),
        tier: str = "Free",
        **changed: Any,
    ) -> str:
        """A lease made at Unix second `at`, for any machine. `changed` as for `token`."""
        claims = {
            "sub": customer_id,
            "iat": int(at),
            "refresh_after": int(at) + REFRESH_SECONDS,
            "exp": int(at) + LEASE_SECONDS,
            "grace_until": int(at) + GRACE_SECONDS,
            "status": "active",
            "tier": tier,
            "features": list(features),
            "plugins": {},
            "quotas": {},
            "machine": "",
            "seq": 1,
            "iss": ISSUER,
            "aud": LEASE_AUDIENCE,
            **changed,
        }
        return self._signed(claims, LEASE_TYPE)

    def _signed(self, claims: dict[str, Any], kind: str) -> str:
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, self.key, algorithm="EdDSA", headers={"kid": self.kid, "typ": kind})
