"""Ed25519 keys as this format holds them, and the one place that verifies with them.

    key_id(public)                       "3f9a0c41d2e81b77": who signed, in envelopes, statements and trust files
    to_text(public)                      "…": base64url without padding, 43 characters, as JSON holds 32 bytes
    is_signed(public, signature, data)   False for anything but that key's signature

A public key and the seed of a private one have 32 bytes. `cryptography` is imported when the first signature is looked
at: what only reads packages need not load it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

KEY_BYTES = 32
SIGNATURE_BYTES = 64
ID_DIGITS = 16
ID_PATTERN = rf"\A[0-9a-f]{{{ID_DIGITS}}}\Z"
TEXT_PATTERN = r"\A[A-Za-z0-9_-]{43}\Z"


def key_id(public: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the raw key."""
    return hashlib.sha256(public).hexdigest()[:ID_DIGITS]


def to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def from_text(text: str) -> bytes:
    """Raises `ValueError`, which does not show the key, on anything but the one spelling of 32 bytes."""
    if not re.search(TEXT_PATTERN, text):
        raise ValueError("a key has 43 characters of base64url")
    try:
        raw = base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("a key is not base64url") from None
    if to_text(raw) != text:
        raise ValueError("a key has bits that belong to no byte")
    return raw


def is_signed(public: bytes, signature: bytes, data: bytes) -> bool:
    """Whether `signature` is `public`'s over `data`. A malformed key or signature is none."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except InvalidSignature:
        return False
    return True


def public_of(seed: bytes) -> bytes:
    """The public key of the private one that grows from `seed`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - see above

    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
