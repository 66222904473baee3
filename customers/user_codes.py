"""The code that a person compares and types (RFC 8628 §6.1): short, easily read, and of no use in a stolen table.

new()                   → "WDJB-MJHT"
read(" wdjb mjht")      → "WDJB-MJHT", however a person typed it or a link spells it; None for what is no code
digest("WDJB-MJHT")     → what is stored
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from django.conf import settings

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"  # §6.1: no vowels, so no words; 20^8 is 34 bits
LENGTH = 8


def new() -> str:
    """A code as it is shown."""
    return _spelled("".join(secrets.choice(ALPHABET) for _ in range(LENGTH)))


def read(text: str) -> str | None:
    """The code in `text` as it is shown: what a person compares is never what a link made of it."""
    code = "".join(each for each in text.upper() if each.isalnum())
    return _spelled(code) if len(code) == LENGTH and set(code) <= set(ALPHABET) else None


def digest(code: str) -> str:
    """HMAC-SHA-256 under the pepper: without it, a table of 34-bit codes would give them away within the minute."""
    said = f"user-code:{code.replace('-', '')}".encode()
    return hmac.new(settings.API_KEY_PEPPER, said, hashlib.sha256).hexdigest()


def _spelled(letters: str) -> str:
    return f"{letters[:4]}-{letters[4:]}"
