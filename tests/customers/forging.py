"""Tokens that the server's own key signed and no server would have made."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import jwt
from km_protocol.claims import TOKEN_TYPE

from customers import signing_keys

Forge = Callable[..., str]


def forger(token: str, at: Callable[[], datetime]) -> Forge:
    """Signs the claims of `token`, some changed, with the key of `at`; a claim that is None is left out."""
    claims = jwt.decode(token, options={"verify_signature": False})

    def sign(headers: dict[str, Any] | None = None, **changed: Any) -> str:
        signer = signing_keys.signer(at=at())
        kept = {name: value for name, value in (claims | changed).items() if value is not None}
        header = {"kid": signer.kid, "typ": TOKEN_TYPE} | (headers or {})
        return jwt.encode(kept, signer.private_key, algorithm="EdDSA", headers=header)

    return sign


def part(value: Any) -> str:
    """`value` as one of a token's three parts."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
