"""Tokens and leases as a forger would make them: any header, any claims, signed with whatever there is.

jws(issuer, issuer.claims_of(token), header={"alg": "HS256"}, signed="hs256")
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
from km_plugin_sdk.testing import TokenIssuer

OTHER = TokenIssuer()


def claims_of(text: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(text, options={"verify_signature": False})
    return claims


def jws(issuer: TokenIssuer, header: dict[str, Any], claims: dict[str, Any], signed: str = "ours") -> str:
    """`signed`: `ours`, `other_key` (under our key's id), `hs256` (our public keys as the secret), or `nothing`."""
    text = f"{_part(header)}.{_part(claims)}"
    signatures: dict[str, Callable[[], bytes]] = {
        "ours": lambda: issuer.key.sign(text.encode()),
        "other_key": lambda: OTHER.key.sign(text.encode()),
        "hs256": lambda: hmac.new(issuer.jwks.encode(), text.encode(), hashlib.sha256).digest(),
        "nothing": lambda: b"",
    }
    return f"{text}.{_encoded(signatures[signed]())}"


def _part(value: dict[str, Any]) -> str:
    return _encoded(json.dumps(value).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
