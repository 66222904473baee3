"""Secrets that the service must be able to read again, sealed in the database: a copy of it reads none of them.

    sealed = seal(b"…", context="alert_destination:dst_4Kd…")     → "s1.1f09ab.kYw3…", 90 characters for 32 bytes
    unseal(sealed, context="alert_destination:dst_4Kd…")          → b"…"
    is_current(sealed)                                            → whether it is under the newest key

AES-256-GCM (NIST SP 800-38D) under a key derived from `KM_SEALING_KEY` by HKDF. What is sealed for one `context` opens
for no other: a row's secret, copied into another row, is worth nothing there. `KM_SEALING_KEY` may hold several, with
commas between: the first seals, all of them open. So a key is replaced by putting a new one before it, and dropped
when nothing is left under it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

PREFIX = "s1."
NONCE_BYTES = 12  # random: of 2³² under one key none repeats, and there are some thousands of secrets
NAME_DIGITS = 6  # of a key's digest, to know which of a few it was


class Unreadable(Exception):
    """Not sealed under any key there is, or not for this."""


def seal(data: bytes, *, context: str) -> str:
    """`data` under the newest key, for `context` alone. Raises `Unreadable` where this process is given no key."""
    if not settings.SEALING_KEYS:
        raise Unreadable("this process is not given KM_SEALING_KEY")
    key, nonce = _derived(settings.SEALING_KEYS[0]), secrets.token_bytes(NONCE_BYTES)
    sealed = nonce + AESGCM(key).encrypt(nonce, data, context.encode())
    return f"{PREFIX}{_name(key)}.{base64.urlsafe_b64encode(sealed).decode()}"


def unseal(text: str, *, context: str) -> bytes:
    """What was sealed. Raises `Unreadable`."""
    name, _, body = text.removeprefix(PREFIX).partition(".")
    key = next((key for key in map(_derived, settings.SEALING_KEYS) if _name(key) == name), None)
    if key is None or not text.startswith(PREFIX):
        raise Unreadable("it was sealed under a key that KM_SEALING_KEY does not hold")
    try:
        sealed = base64.urlsafe_b64decode(body)
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
    except (InvalidTag, binascii.Error, ValueError):
        raise Unreadable("it is not what was sealed here") from None


def is_current(text: str) -> bool:
    """Whether `text` is sealed under the newest key."""
    return bool(settings.SEALING_KEYS) and text.startswith(f"{PREFIX}{_name(_derived(settings.SEALING_KEYS[0]))}.")


@cache
def _derived(key: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"km sealing").derive(key.encode())


def _name(key: bytes) -> str:
    return hashlib.sha256(b"km sealing name" + key).hexdigest()[:NAME_DIGITS]
